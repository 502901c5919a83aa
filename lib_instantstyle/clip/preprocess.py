"""CLIP's preprocessing: the middle square of a picture, resized and normalised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training pictures, RGB
STD = (0.26862954, 0.26130258, 0.27577711)
_LONGEST = 40  # sides to one: up to here the whole picture is resized, to 8 MB at most
_REACH = 2.0  # pixels of the smaller grid that a bicubic filter looks at, to each side


def clip_view(image: Image.Image, size: int = 224) -> Image.Image:
    """The `size` x `size` pixels that CLIP sees of the RGB picture `image`.

    Short side resized to `size` (bicubic, antialiased, rounded to 8 bit), then the middle square,
    exactly as transformers' CLIPImageProcessor does it. A picture like a hair, which would become
    many times larger on the way, has its middle cut out first; one value in ten thousand then
    differs by an 8-bit level.
    """
    short = min(image.size)
    width, height = (max(size, size * length // short) for length in image.size)
    if width * height > _LONGEST * size * size:
        image, box = _middle(image, (width, height), size)
        return image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + size, top + size))


def _middle(
    image: Image.Image, resized: tuple[int, int], size: int
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The middle of `image` with as much around it as the filter reaches, and where it lies there.

    Cut out, because Pillow's coordinates are too coarse far from the edge.
    """
    (left, right, x0, x1), (top, bottom, y0, y1) = (
        _span(length, target, size) for length, target in zip(image.size, resized)
    )
    box = (x0 - left, y0 - top, min(x1, right) - left, min(y1, bottom) - top)
    return image.crop((left, top, right, bottom)), box


def _span(length: int, resized: int, size: int) -> tuple[int, int, float, float]:
    """Along one side of `length`: what to cut out (begin, end), and the middle square.

    resized: the length of this side when the short side is `size`.
    """
    step = length / resized
    first = (resized - size) // 2 * step
    last = first + size * step
    reach = math.ceil(_REACH * max(step, 1.0)) + 1
    return max(0, math.floor(first) - reach), min(length, math.ceil(last) + reach), first, last


def normalised(views: Sequence[Image.Image]) -> torch.Tensor:
    """CLIP's input for RGB pictures of one size: [n, 3, height, width], float32.

    The mean colour becomes zero. Source: transformers, CLIPImageProcessor.
    """
    array = np.stack([np.asarray(cast(Any, view), dtype=np.float32) for view in views]) / 255.0
    pixels = (array - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
