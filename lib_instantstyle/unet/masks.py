"""Where in the picture a term acts: a mask of any size, seen by layers as one value per token.

A layer has a token for each cell of the latent grid, halved some times (rounding up) on the way
down. A token's value is the exact mean of the mask over its cell, cells being equal parts of the
picture; so masks that add up to white everywhere do so on every grid.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError

Box = tuple[float, float, float, float]  # left, top, right, bottom as shares of the picture
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
_LEVELS = 6  # halvings that any UNet here has at most


class Mask:
    """Values from 0 (nothing) to 1 (full weight) over the picture, or over a box of it."""

    def __init__(self, values: np.ndarray[Any, Any], box: Box = WHOLE) -> None:
        """values: [h, w], of the whole picture."""
        self._values = values
        self._box = box
        self._views: dict[tuple[object, ...], torch.Tensor] = {}

    def within(self, box: Box) -> Mask:
        """The mask of a part of the picture."""
        return Mask(self._values, box)

    def on_grid(
        self, height: int, width: int, device: torch.device, dtype: torch.dtype
    ) -> torch.Tensor:
        """[1, height * width, 1]; made once for each grid and kept."""
        key = (height, width, device, dtype)
        view = self._views.get(key)
        if view is None:
            left, top, right, bottom = self._box
            rows = _means(self._values, height, top, bottom)
            cells = _means(rows.T, width, left, right).T
            tensor = torch.from_numpy(cells.astype(np.float32)).reshape(1, -1, 1)
            view = self._views[key] = tensor.to(device=device, dtype=dtype)
        return view


def _means(values: np.ndarray[Any, Any], count: int, first: float, last: float) -> Any:
    """Means [count, w] of equal parts of `values` [h, w] between the shares first and last of h."""
    height = len(values)
    edges = np.linspace(first * height, last * height, count + 1).clip(0, height)
    whole = np.minimum(edges.astype(int), height - 1)
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    below = sums[whole] + (edges - whole)[:, None] * values[whole]
    return np.diff(below, axis=0) * (count / ((last - first) * height))


def token_grid(height: int, width: int, tokens: int) -> tuple[int, int] | None:
    """The grid of a layer with so many tokens, for a latent of `height` x `width`; None if none.

    A convolution of stride 2 rounds up, so 57 rows become 29.
    """
    for _ in range(_LEVELS):
        if height * width == tokens:
            return height, width
        height, width = -(-height // 2), -(-width // 2)
    return None


def mask_of(image: Image.Image, label: str = "mask") -> Mask:
    """The mask that `image` shows in its grey levels, white being full weight.

    One that is larger than any picture made with it is made smaller first, by a whole factor.
    Raises InstantStyleError if it is black everywhere.
    """
    levels = image.convert("L")
    if max(levels.size) > limits.MASK_SIDE:
        # As whole numbers of 8 bits: as 64-bit ones the picture would be eight times as large.
        levels = levels.reduce(-(-max(levels.size) // limits.MASK_SIDE))
    values = np.asarray(cast(Any, levels), dtype=np.float64) / 255.0
    if not values.any():
        raise InstantStyleError(
            f"{label} is black everywhere, so that nothing would happen; white is where it acts."
        )
    return Mask(values)
