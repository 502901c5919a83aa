"""Forge, reForge and Forge Classic: the WebUIs that sample with `forge_objects`.

They differ from AUTOMATIC1111's where the UNet is kept, and announce the kinds of rows with each
UNet call (see denoiser.py); the rest of their interface is the same.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lib_instantstyle.hosts.a1111 import A1111
from lib_instantstyle.pure.errors import InstantStyleError


class Forge(A1111):
    """See the Host protocol."""

    def unet(self, p: Any) -> nn.Module:
        patcher = getattr(p.sd_model.forge_objects, "unet", None)
        unet = getattr(getattr(patcher, "model", None), "diffusion_model", None)
        if not isinstance(unet, nn.Module):
            raise InstantStyleError(
                "no checkpoint with a UNet is loaded; choose one and try again."
            )
        return unet
