"""The part of a reference that counts."""

from __future__ import annotations

from PIL import Image

from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.tensor.picture_modes import NOTHING

_COUNTS = 26  # a tenth of white; below lies what JPEG leaves in black

Box = tuple[int, int, int, int]  # left, top, right, bottom


def masked(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The part of the RGB picture `image` that `mask` marks white, with a little around it.

    The mask, of any size, is resized to the picture's. What it marks black becomes CLIP's mean
    colour, which is zero after normalisation; grey, and so the edge of a soft brush, mixes the
    two. The picture is cut to the box around what is at least a tenth white, made square as far
    as the picture reaches; where it is not, `crop` decides as for any other picture.

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
    box = square_box(marked, image.size)
    nothing = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), NOTHING)
    return Image.composite(image.crop(box), nothing, levels.crop(box))


def square_box(box: Box, size: tuple[int, int]) -> Box:
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
