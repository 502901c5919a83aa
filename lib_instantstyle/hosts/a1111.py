"""AUTOMATIC1111's WebUI, 1.10."""

from __future__ import annotations

from typing import Any

import torch
from modules import devices, shared
from torch import nn

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
