"""How a picture that is not square becomes the squares that CLIP sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from PIL import Image

from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.tensor.clip_view import clip_view
from lib_instantstyle.tensor.picture_modes import NOTHING

MOST_TILES = 8  # of a picture like a hair: each costs a run of the encoder
_NEARLY_SQUARE = 1.1  # sides up to here are one tile: two would be the same picture twice


def crop_views(image: Image.Image, crop: str, size: int = 224) -> list[Image.Image]:
    """The `size` x `size` pictures that CLIP sees of the RGB picture `image`.

    - "center": the middle square, as CLIP's own preprocessing cuts it;
    - "pad": the whole picture with bars of CLIP's mean colour, which stands for nothing;
    - "stretch": the whole picture, squeezed;
    - "tiles": squares along the long side, from edge to edge at even distances, as few as leave no
      gap, but at most MOST_TILES. CLIP's answers to them are to be averaged. A picture whose sides
      differ by less than a tenth has one, its middle.

    All but "tiles" give one view. Raises InstantStyleError for an unknown crop.
    """
    if crop not in CROPS:
        raise InstantStyleError(f"crop is {shorten(crop)}; one of {', '.join(CROPS)} is allowed.")
    return CROPS[crop](image, size)


def _center(image: Image.Image, size: int) -> list[Image.Image]:
    return [clip_view(image, size)]


def _pad(image: Image.Image, size: int) -> list[Image.Image]:
    # Resized before it is padded: padded first, a long picture would take gigabytes.
    long = max(image.size)
    width, height = (max(1, round(size * length / long)) for length in image.size)
    view = Image.new("RGB", (size, size), NOTHING)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    view.paste(resized, ((size - width) // 2, (size - height) // 2))
    return [view]


def _stretch(image: Image.Image, size: int) -> list[Image.Image]:
    return [image.resize((size, size), Image.Resampling.BICUBIC)]


def _tiles(image: Image.Image, size: int) -> list[Image.Image]:
    short, long = sorted(image.size)
    if long < _NEARLY_SQUARE * short:
        return _center(image, size)
    count = min(math.ceil(long / short), MOST_TILES)
    begins = [round(i * (long - short) / (count - 1)) for i in range(count)]
    if image.width == long:
        boxes = [(begin, 0, begin + short, short) for begin in begins]
    else:
        boxes = [(0, begin, short, begin + short) for begin in begins]
    return [clip_view(image.crop(box), size) for box in boxes]


CROPS: Mapping[str, Callable[[Image.Image, int], list[Image.Image]]] = {
    "center": _center,
    "pad": _pad,
    "stretch": _stretch,
    "tiles": _tiles,
}
