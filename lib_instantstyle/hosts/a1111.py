"""AUTOMATIC1111's WebUI, 1.10."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from modules import devices, shared
from torch import nn

from lib_instantstyle.hosts.folders import own_folder
from lib_instantstyle.hosts.settings import KEEP_ENCODER, SAVE_CROPS
from lib_instantstyle.hosts.text import text_vector
from lib_instantstyle.pure.errors import InstantStyleError, shorten


class A1111:
    """See the Host protocol."""

    def unet(self, p: Any) -> nn.Module:
        model = getattr(p.sd_model, "model", None)
        unet = getattr(model, "diffusion_model", None)
        if not isinstance(unet, nn.Module):
            raise InstantStyleError(
                "no checkpoint with a UNet is loaded; choose one and try again."
            )
        return unet

    def device(self) -> torch.device:
        return torch.device(devices.get_device_for("instantstyle"))

    def encoder_dtype(self) -> torch.dtype:
        return torch.float16 if self.device().type == "cuda" else torch.float32

    def keeps_encoder(self) -> bool:
        return bool(shared.opts.data.get(KEEP_ENCODER, False))

    def crops_folder(self) -> Path | None:
        return own_folder() / "crops" if shared.opts.data.get(SAVE_CROPS, False) else None

    def text_vector(self, p: Any, text: str) -> torch.Tensor | None:
        encoder = self.text_encoder(p)
        return None if encoder is None else text_vector(encoder, text)

    def text_encoder(self, p: Any) -> Any:
        """The loaded text encoder that gives pooled and projected vectors, ready to run."""
        conditioner = getattr(p.sd_model, "conditioner", None)
        for embedder in getattr(conditioner, "embedders", ()):
            # SDXL holds CLIP-L without and OpenCLIP bigG with a pooled output.
            if getattr(embedder, "id_pad", None) is not None and _is_pooled(embedder):
                _wake(conditioner)
                return embedder
        return None

    def interrupted(self) -> bool:
        state = shared.state
        return bool(state.interrupted or state.skipped or state.stopping_generation)

    def download(self, url: str) -> Any:
        from fastapi import HTTPException
        from modules.api.api import decode_base64_to_image

        try:
            return decode_base64_to_image(url)
        except HTTPException as error:
            raise InstantStyleError(
                f"image is the address {shorten(url, 80)}, which the WebUI refused or could not "
                f"read ({error.detail}); send the picture as base64 text, or allow requests in "
                "Settings > API."
            ) from error


def _is_pooled(embedder: Any) -> bool:
    return bool(getattr(getattr(embedder, "wrapped", None), "return_pooled", False))


def _wake(module: Any) -> None:
    """Do what a call of the whole conditioner would do first.

    With --medvram a pre-hook moves it to the device; calling a part of it passes that by.
    """
    for hook in list(module._forward_pre_hooks.values()):
        hook(module, ())
