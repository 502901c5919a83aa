"""Any picture that Pillow opens, as 8-bit RGB; very large ones made smaller on the way.

Where a picture is transparent there is nothing to imitate, so CLIP's mean colour goes there:
after normalisation it is zero (within one 8-bit level), the value of a picture that is not there.
Colour profiles are not applied, as in CLIP's own preprocessing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_instantstyle import limits
from lib_instantstyle.clip.preprocess import MEAN

Colour = tuple[int, int, int]

NOTHING: Colour = (round(255 * MEAN[0]), round(255 * MEAN[1]), round(255 * MEAN[2]))
_WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN_BIT = 65535
_STRIP = 2**20  # pixels that are converted at once


def to_rgb(image: Image.Image, below: Colour = NOTHING) -> Image.Image:
    """`image` as RGB with 8 bits a channel, transparency filled with the colour `below`."""
    return _converted(image, below, _full_scale(image))


def shrink_factor(size: tuple[int, int]) -> int:
    """By what the sides of a picture of `size` are divided: 1 up to WHOLE_PIXELS.

    Above it has several times the pixels that anything here looks at, unless it is very narrow.
    """
    width, height = size
    if width * height <= limits.WHOLE_PIXELS:
        return 1
    wanted = math.ceil(math.sqrt(width * height / limits.WHOLE_PIXELS))
    return max(1, min(wanted, min(size) // limits.SHRUNK_SIDE))


def shrunk_rgb(image: Image.Image, factor: int, below: Colour = NOTHING) -> Image.Image:
    """`to_rgb` with the sides divided by `factor`, each pixel the mean of those it stands for.

    Piece by piece: as RGB the whole may have thirty times the bytes that it came in.
    """
    full = _full_scale(image)
    small = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, strip in _strips(image, factor):
        small.paste(_converted(strip, below, full).reduce(factor), (0, top // factor))
    return small


def _strips(image: Image.Image, rows: int) -> Iterator[tuple[int, Image.Image]]:
    """Parts of `image` with their first rows, which are multiples of `rows`."""
    step = rows * max(1, _STRIP // (image.width * rows))
    for top in range(0, image.height, step):
        yield top, image.crop((0, top, image.width, min(top + step, image.height)))


def _converted(image: Image.Image, below: Colour, full: float) -> Image.Image:
    """full: what is white, in a picture with more than 8 bits."""
    if _is_deep_grey(image):
        return _grey(image, below, full)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*below, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def _full_scale(image: Image.Image) -> float:
    """Which value of a grey picture of 16 or 32 bits is white.

    Whole numbers are 16-bit ones unless one is larger, then 31-bit ones. Floating-point numbers
    run from 0 to 1 unless one is larger, then from 0 to 255.
    """
    if not _is_deep_grey(image):
        return 255.0
    largest = max(float(_values(strip).max(initial=0.0)) for _, strip in _strips(image, 1))
    if image.mode == "F":
        return 1.0 if largest <= 1.0 else 255.0
    return _SIXTEEN_BIT if largest <= _SIXTEEN_BIT else 2.0**31 - 1


def _values(image: Image.Image) -> NDArray[np.float32]:
    given = np.asarray(cast(Any, image)).astype(np.float32)
    return np.nan_to_num(given, nan=0.0, posinf=0.0, neginf=0.0)


def _grey(image: Image.Image, below: Colour, full: float) -> Image.Image:
    """A grey picture of 16 or 32 bits, scaled to 8: Pillow's own conversion clips it.

    What is no number is black.
    """
    levels = np.clip(_values(image) * (255.0 / full), 0, 255).round().astype(np.uint8)
    colours = np.repeat(levels[..., None], 3, axis=-1)
    if "transparency" in image.info:  # one grey that stands for nothing
        given = np.asarray(cast(Any, image))
        colours[given == image.info["transparency"]] = below
    return Image.fromarray(colours)
