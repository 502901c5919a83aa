"""Helpers by which tests drive the engine and read its results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # some tests that read infotext run without torch
    import torch
    from PIL import Image
    from torch import nn

    from lib_instantstyle.layout import Layer, Layout
    from lib_instantstyle.unet.injection import Clock, Injection
    from lib_instantstyle.unet.layers import UnetLayers
    from lib_instantstyle.unet.plan import Plan


@contextmanager
def inject(unet: nn.Module, layers: UnetLayers, plan: Plan, clock: Clock) -> Iterator[Injection]:
    """Hold the hooks of `plan` on `unet` for the length of a `with` block.

    The UNet is as it was when the block ends, however it ends.
    """
    from lib_instantstyle.unet.injection import Injection

    injection = Injection(plan, clock)
    try:
        injection.attach(unet, layers)
        yield injection
    finally:
        injection.detach()


def clip_pixels(image: Image.Image, size: int) -> torch.Tensor:
    """CLIP's input for the RGB picture `image`: [1, 3, size, size], float32, normalised."""
    from lib_instantstyle.clip.preprocess import clip_view, normalised

    return normalised([clip_view(image, size)])


def layers_of(layout: Layout, block_index: int) -> tuple[Layer, ...]:
    """The layers of one transformer, in call order."""
    return tuple(layer for layer in layout.layers if layer.block.index == block_index)


def text_to_leak(text: str) -> dict[str, float]:
    """The cosines in a line of the leak meter, by name."""
    found = re.findall(r"(content|reference) (-?\d+\.\d+)", text)
    return {name: float(value) for name, value in found}
