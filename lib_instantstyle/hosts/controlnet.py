"""Taking off what sd-webui-controlnet puts on a UNet, for UNet calls outside the sampling.

Such a call is not for the picture that ControlNet's units belong to. Its control models would get
the wrong latent, and its IP-Adapters cache keys and values of the first call by layer alone:
another number of rows would mix up prompt and negative prompt for the rest of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

_FORWARD = "_original_forward"  # on the UNet: its own, while ControlNet has replaced it
_ADAPTERS = "ipadapter_hacks"  # on a cross-attention: what its IP-Adapters add


@contextmanager
def without_controlnet(unet: nn.Module) -> Iterator[None]:
    """A context in which `unet` is as without sd-webui-controlnet."""
    put_back: list[tuple[Any, str, Any]] = []
    if hasattr(unet, _FORWARD):
        put_back.append((unet, "forward", unet.forward))
        setattr(unet, "forward", getattr(unet, _FORWARD))  # noqa: B010  # not a method to mypy
    for module in unet.modules():
        adapters = getattr(module, _ADAPTERS, None)
        if adapters:
            put_back.append((module, _ADAPTERS, adapters))
            setattr(module, _ADAPTERS, [])
    try:
        yield
    finally:
        for owner, name, value in put_back:
            setattr(owner, name, value)
