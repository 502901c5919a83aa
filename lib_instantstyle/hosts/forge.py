"""Forge, reForge and Forge Classic: the WebUIs that sample with `forge_objects`.

They keep the UNet elsewhere than AUTOMATIC1111's, and send the kinds of rows with each UNet call
(see denoiser.py); the rest of their interface is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lib_instantstyle.clip.device_memory import Entry
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import live
from lib_instantstyle.hosts.a1111 import A1111
from lib_instantstyle.hosts.forge_memory import CountedEntry, free_memory, load_model
from lib_instantstyle.unet.reach import as_written, is_compiled

if TYPE_CHECKING:
    from lib_instantstyle.hosts.diffusion import Diffusion


class Forge(A1111):
    """See the Host protocol.

    Checkpoints are loaded in inference mode. If their weights were moved or converted outside of
    it, as loading and the first use of a text encoder do, every later generation would fail. So
    everything that may do this runs in inference mode.
    """

    without_gradients = torch.inference_mode

    def unet(self, p: Any) -> nn.Module:
        patcher = getattr(live.sd_model(p).forge_objects, "unet", None)
        unet = getattr(getattr(patcher, "model", None), "diffusion_model", None)
        if not isinstance(unet, nn.Module):
            raise InstantStyleError(
                "no checkpoint with a UNet is loaded; choose one and try again."
            )
        return as_written(unet)

    def is_compiled(self, p: Any) -> bool:
        patcher = getattr(live.sd_model(p).forge_objects, "unet", None)
        model = getattr(patcher, "model", None)
        by_script = hasattr(model, "_orig_apply_model")  # of Forge Neo, in each call anew
        return by_script or (isinstance(model, nn.Module) and is_compiled(model))

    def make_room(self, size: int) -> None:
        free_memory(size, self.device())

    def enter(self, encoder: nn.Module, device: torch.device) -> Entry:
        return CountedEntry(encoder, device)

    def diffusion(self, p: Any) -> Diffusion:
        from lib_instantstyle.hosts.diffusion import ForgeDiffusion

        return ForgeDiffusion(p)

    def load_unet(self, p: Any) -> None:
        load_model(live.sd_model(p).forge_objects.unet)

    def embedders(self, p: Any) -> list[Any]:
        names = ("text_processing_engine_g", "text_processing_engine", "text_processing_engine_l")
        engines = [getattr(live.sd_model(p), name, None) for name in names]
        # reForge and Classic keep A1111's.
        return [engine for engine in engines if engine is not None] or super().embedders(p)

    def wake_text(self, p: Any) -> None:
        # The copy without the prompt's LoRAs; loading it takes them off the shared weights.
        objects = (
            getattr(live.sd_model(p), "forge_objects_original", None)
            or live.sd_model(p).forge_objects
        )
        load_model(objects.clip.patcher)
