"""AUTOMATIC1111's WebUI, 1.10."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from modules import devices, shared
from torch import nn

from lib_instantstyle.clip.device_memory import Entry, Uncounted
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.own_files import BoundedFolder
from lib_instantstyle.hosts import live
from lib_instantstyle.hosts.checkpoint import identity
from lib_instantstyle.hosts.fetch import fetch
from lib_instantstyle.hosts.folders import own_folder, reference_folder
from lib_instantstyle.hosts.settings import EMBEDDINGS_MB, KEEP_ENCODER, SAVE_CROPS, bytes_to_keep
from lib_instantstyle.hosts.text import LoadedTextEncoder, is_clip_tokenizer, serves
from lib_instantstyle.unet.reach import as_written, is_compiled

if TYPE_CHECKING:
    from lib_instantstyle.hosts.diffusion import Diffusion


class A1111:
    """See the Host protocol."""

    without_gradients: Callable[[], AbstractContextManager[Any]] = torch.no_grad

    def unet(self, p: Any) -> nn.Module:
        model = getattr(live.sd_model(p), "model", None)
        unet = getattr(model, "diffusion_model", None)
        if not isinstance(unet, nn.Module):
            raise InstantStyleError(
                "no checkpoint with a UNet is loaded; choose one and try again."
            )
        return as_written(unet)

    def is_compiled(self, p: Any) -> bool:
        model = getattr(live.sd_model(p), "model", None)
        return is_compiled(model) if isinstance(model, nn.Module) else False

    def device(self) -> torch.device:
        return torch.device(devices.get_device_for("instantstyle"))

    def encoder_dtype(self) -> torch.dtype:
        return torch.float16 if self.device().type == "cuda" else torch.float32

    def make_room(self, size: int) -> None:
        """Empty PyTorch's cache; with --medvram the WebUI moves modules when they are called."""
        devices.torch_gc()

    def enter(self, encoder: nn.Module, device: torch.device) -> Entry:
        return Uncounted()

    def load_unet(self, p: Any) -> None:
        """Do nothing: A1111 moves no UNet off its device to make room for an encoder."""

    def cache_folder(self) -> Path:
        return own_folder() / "cache"

    def embeddings_folder(self) -> BoundedFolder | None:
        capacity = bytes_to_keep(EMBEDDINGS_MB)
        folder = self.cache_folder() / "embeddings"
        return BoundedFolder(folder, ".safetensors", capacity) if capacity else None

    def reference_folder(self) -> BoundedFolder | None:
        return reference_folder()

    def keeps_encoder(self) -> bool:
        return bool(shared.opts.data.get(KEEP_ENCODER, False))

    def crops_folder(self) -> Path | None:
        return own_folder() / "crops" if shared.opts.data.get(SAVE_CROPS, False) else None

    def text_encoder(self, p: Any) -> LoadedTextEncoder | None:
        embedder = next(filter(serves, self.embedders(p)), None)
        if embedder is None:
            return None
        return LoadedTextEncoder(
            embedder, identity(live.sd_model(p)), lambda: self.wake_text(p), self.without_gradients
        )

    def token_ids(self, p: Any, texts: Sequence[str]) -> list[list[int]] | None:
        embedder = next(filter(is_clip_tokenizer, self.embedders(p)), None)
        return None if embedder is None else list(embedder.tokenize(list(texts)))

    def embedders(self, p: Any) -> list[Any]:
        """The checkpoint's text encoders, as the WebUI wraps them."""
        conditioner = getattr(live.sd_model(p), "conditioner", None)
        if conditioner is not None:
            return list(getattr(conditioner, "embedders", ()))
        return [getattr(live.sd_model(p), "cond_stage_model", None)]

    def wake_text(self, p: Any) -> None:
        """Run the forward pre-hooks of the conditioner, which calls of its parts do not run.

        With --medvram such a hook moves it to the device.
        """
        conditioner = getattr(live.sd_model(p), "conditioner", None)
        if conditioner is not None:
            for hook in list(conditioner._forward_pre_hooks.values()):
                hook(conditioner, ())

    def interrupted(self) -> bool:
        state = shared.state
        return bool(state.interrupted or state.skipped or state.stopping_generation)

    def is_hires_pass(self, p: Any) -> bool:
        return bool(getattr(p, "is_hr_pass", False))

    def cfg_scale(self, p: Any) -> float | None:
        scale: float | None = getattr(p, "cfg_scale", None)
        # The Forge family has another one for hires fix.
        return (getattr(p, "hr_cfg", None) or scale) if self.is_hires_pass(p) else scale

    def region(self, p: Any) -> tuple[float, float, float, float] | None:
        paste_to = getattr(p, "paste_to", None)
        whole = getattr(p, "mask_for_overlay", None)
        if not getattr(p, "inpaint_full_res", False) or paste_to is None or whole is None:
            return None
        x, y, width, height = paste_to
        return (
            x / whole.width,
            y / whole.height,
            (x + width) / whole.width,
            (y + height) / whole.height,
        )

    def fetch(self, url: str, limit: int, label: str) -> bytes:
        return fetch(url, limit, label)

    def diffusion(self, p: Any) -> Diffusion:
        from lib_instantstyle.hosts.diffusion import Diffusion

        return Diffusion(p)
