"""Any picture that Pillow opens, as 8-bit RGB.

Where a picture is transparent there is nothing to imitate, so CLIP's mean colour goes there: after
normalisation it is zero (within one 8-bit level), the value of a picture that is not there.
Colour profiles are not applied, as in CLIP's own preprocessing.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from PIL import Image

from lib_instantstyle.tensor.clip_view import MEAN

Colour = tuple[int, int, int]

NOTHING: Colour = (round(255 * MEAN[0]), round(255 * MEAN[1]), round(255 * MEAN[2]))
_WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN_BIT = 65535


def to_rgb(image: Image.Image, below: Colour = NOTHING) -> Image.Image:
    """`image` as RGB with 8 bits a channel, transparency filled with the colour `below`."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey(image, below)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*below, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image, below: Colour) -> Image.Image:
    """A grey picture of 16 or 32 bits, scaled to 8: Pillow's own conversion clips it.

    Whole numbers are 16-bit ones unless one is larger, then 31-bit ones. Floating-point numbers
    run from 0 to 1 unless one is larger, then from 0 to 255; what is no number is black.
    """
    given = np.asarray(cast(Any, image))
    values = np.nan_to_num(given.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(values.max(initial=0.0))
    if image.mode == "F":
        full = 1.0 if largest <= 1.0 else 255.0
    else:
        full = _SIXTEEN_BIT if largest <= _SIXTEEN_BIT else 2.0**31 - 1
    levels = np.clip(values * (255.0 / full), 0, 255).round().astype(np.uint8)
    colours = np.repeat(levels[..., None], 3, axis=-1)
    if "transparency" in image.info:  # one grey that stands for nothing
        colours[given == image.info["transparency"]] = below
    return Image.fromarray(colours)
