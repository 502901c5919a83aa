"""A weight that is found instead of tuned: a unit's norm in proportion to the text attention's.

References act with different strength at the same weight. In the first UNet call of a pass the
norm of what a unit adds, over the norm of the text attention it is added to, is measured in every
layer; from then on the unit's terms are multiplied so that this ratio is the one asked for. Layer
by layer in that call, what was measured so far counts. Nothing waits for the device.
"""

from __future__ import annotations

import torch

from lib_instantstyle.unet.rows import PROMPT, kind_of

LARGEST_FACTOR = 10.0  # factor: what adds next to nothing is not to become noise


class AutoWeight:
    """The factor of one unit in one pass."""

    def __init__(self, target: float) -> None:
        self._target = target
        self._call: int | None = None  # the call that is measured
        self._sums: torch.Tensor | None = None  # [added, text's], squared
        self._factor: torch.Tensor | None = None

    def factor(
        self,
        text_attention: torch.Tensor,
        image: torch.Tensor,
        weight: float,
        rows: tuple[int, ...],
        call: int,
    ) -> torch.Tensor | None:
        """What `weight` times `image` [B, N, h] is to be multiplied with: a number on the device.

        text_attention: [B, N, h], what it is added to. rows: codes of the B rows; only prompt rows
        are measured. call: serial number of the UNet call. None before anything was measured.
        """
        prompts = [place for place, code in enumerate(rows) if kind_of(code) == PROMPT]
        if prompts and self._call in (None, call):
            self._call = call
            if len(prompts) < len(rows):
                text_attention, image = text_attention[prompts], image[prompts]
            # Side by side, both take one reduction; vector_norm would be less exact on processors.
            sums = torch.stack([image, text_attention]).float().square_().sum(dim=(1, 2, 3))
            sums[0] *= weight**2  # of this layer; others may have another
            self._sums = sums if self._sums is None else self._sums + sums
            ratio = (self._sums[0] / self._sums[1]).sqrt()
            # A unit that adds nothing to prompt rows (0 / text) has nothing to be brought up.
            found = (self._target / ratio).clamp(max=LARGEST_FACTOR)
            self._factor = torch.where(ratio > 0, found, torch.ones_like(found))
        return self._factor

    def found(self) -> float | None:
        """The factor, read from the device; None where nothing was measured."""
        return None if self._factor is None else float(self._factor)
