"""The square crops of a reference that CLIP encodes: masked, cropped and sharpened, in this order.

Source of the sharpening: AMD FidelityFX CAS (contrast adaptive: more where the surroundings are
flat, less at hard edges), in the variant of ComfyUI's IPAdapter plus
(cubiq/ComfyUI_IPAdapter_plus), which measures contrast on all eight neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_instantstyle.clip.preprocess import clip_view
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.references.rgb import NOTHING

MOST_TILES = 8  # of a very long picture: each costs a run of the encoder
_NEARLY_SQUARE = 1.1  # sides up to here are one tile: two would be the same picture twice
_COUNTS = 26  # a tenth of white; below lies what JPEG leaves in black
_LEAST, _MOST = 1 / 8, 1 / 5  # sharpening weight of a neighbour at amount 0 and at amount 1

PixelBox = tuple[int, int, int, int]  # left, top, right, bottom


def reference_views(
    image: Image.Image,
    size: int = 224,
    crop: str = "center",
    sharpening: float = 0.0,
    mask: Image.Image | None = None,
) -> list[Image.Image]:
    """The crops, `size` x `size`, of the RGB picture `image`: masked, cropped and then sharpened.

    preprocess.normalised makes CLIP's input of them. Only the crop "tiles" gives several, whose
    image embeds are to be averaged. Raises InstantStyleError for a mask that marks nothing.
    """
    if mask is not None:
        image = masked(image, mask)
    return [sharpened(view, sharpening) for view in crop_views(image, crop, size)]


def masked(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The part of the RGB picture `image` that `mask` marks white, with a little around it.

    The mask, of any size, is resized to the picture's. What it marks black becomes CLIP's mean
    colour, which is zero after normalisation; grey, and so the edge of a soft brush, mixes the
    two. The picture is cut to the box around what is at least a tenth white, made square as far
    as the picture reaches; where it is not, `crop` decides as for any other picture.

    Raises InstantStyleError where nothing is marked.
    """
    levels, box = marked_box(image, mask)
    nothing = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), NOTHING)
    return Image.composite(image.crop(box), nothing, levels.crop(box))


def marked_box(image: Image.Image, mask: Image.Image) -> tuple[Image.Image, PixelBox]:
    """`mask` in grey levels, in the size of `image`, and the box that `masked` cuts out.

    Raises InstantStyleError where nothing is marked.
    """
    levels = mask.convert("L")
    if levels.size != image.size:
        levels = levels.resize(image.size, Image.Resampling.BICUBIC)
    marked = levels.point([255 * (level >= _COUNTS) for level in range(256)]).getbbox()
    if marked is None:
        raise InstantStyleError(
            "reference_mask is black everywhere; the part of the reference that counts must be "
            "white."
        )
    return levels, square_box(marked, image.size)


def square_box(box: PixelBox, size: tuple[int, int]) -> PixelBox:
    """`box` widened about its middle to a square, as far as a picture of `size` reaches."""
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    (left, right), (top, bottom) = (
        _widen(left, right, side, size[0]),
        _widen(top, bottom, side, size[1]),
    )
    return left, top, right, bottom


def _widen(begin: int, end: int, length: int, limit: int) -> tuple[int, int]:
    length = min(length, limit)
    begin = (begin + end - length) // 2
    begin = min(max(begin, 0), limit - length)
    return begin, begin + length


def crop_views(image: Image.Image, crop: str, size: int = 224) -> list[Image.Image]:
    """The `size` x `size` crops of the RGB picture `image` that CLIP encodes.

    - "center": the middle square, as CLIP's own preprocessing cuts it;
    - "pad": the whole picture with bars of CLIP's mean colour, which stands for nothing;
    - "stretch": the whole picture, squeezed;
    - "tiles": squares along the long side, from edge to edge at even distances, as few as leave no
      gap, but at most MOST_TILES. Their image embeds are to be averaged. A picture whose sides
      differ by less than a tenth has one, its middle.

    All but "tiles" give one crop. Raises KeyError for an unknown word.
    """
    return CROP_FUNCTIONS[crop](image, size)


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


CROP_FUNCTIONS: Mapping[str, Callable[[Image.Image, int], list[Image.Image]]] = {
    "center": _center,
    "pad": _pad,
    "stretch": _stretch,
    "tiles": _tiles,
}


def sharpened(image: Image.Image, amount: float) -> Image.Image:
    """The RGB picture `image`, sharpened by `amount` (0 to 1), rounded to 8 bit.

    0 leaves it as it is; the smallest amount above 0 already sharpens, as in the original. The
    outermost pixels stay: beyond them is black, a contrast that leaves nothing to gain.
    """
    if not amount:
        return image
    values = np.asarray(cast(Any, image), dtype=np.float32) / 255.0
    levels = np.rint(_sharpened(values, amount) * 255.0).astype(np.uint8)
    return Image.fromarray(levels)


def _sharpened(values: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """values: [H, W, 3], 0 to 1."""
    height, width, _ = values.shape
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    shifted = {(y, x): padded[y : y + height, x : x + width] for y in range(3) for x in range(3)}
    sides = [shifted[0, 1], shifted[1, 0], shifted[1, 2], shifted[2, 1]]
    corners = [shifted[0, 0], shifted[0, 2], shifted[2, 0], shifted[2, 2]]
    cross = [values, *sides]
    low = np.minimum.reduce(cross) + np.minimum.reduce(corners)  # 0 to 2
    high = np.maximum.reduce(cross) + np.maximum.reduce(corners)
    room = np.minimum(low, 2.0 - high)  # to the nearer of black and white
    # Where all is black there is no room, and 0 / 0 would be undefined.
    strength = np.sqrt(np.divide(room, high, out=np.zeros_like(high), where=high > 0))
    weight = -strength * (amount * (_MOST - _LEAST) + _LEAST)
    result = (sum(sides) * weight + values) / (1.0 + 4.0 * weight)
    return cast("NDArray[np.float32]", np.clip(result, 0.0, 1.0))
