"""Contrast adaptive sharpening: more where the surroundings are flat, less at hard edges.

Source: AMD FidelityFX CAS, in the variant of ComfyUI's IPAdapter plus
(cubiq/ComfyUI_IPAdapter_plus), which measures contrast on all eight neighbours.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LEAST, _MOST = 1 / 8, 1 / 5  # weight of a neighbour at amount 0 and at amount 1


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
