"""How much the style adds in each layer, measured where it is added and read once at the end."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lib_instantstyle.unet.rows import NEGATIVE, kind_of


@dataclass(frozen=True)
class LayerEffect:
    """Of one unit in one layer, over all steps in which it acted."""

    number: int  # of the layer, N in adapter files
    unit: int
    ratio: float  # norm of the added term over the norm of what it was added to
    calls: int


class EffectMeter:
    """Adds up norms on the device: nothing waits for it until `effects` is asked."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int], torch.Tensor] = {}  # [added, before], squared
        self._calls: dict[tuple[int, int], int] = {}

    def note(
        self,
        number: int,
        unit: int,
        before: torch.Tensor,
        after: torch.Tensor,
        rows: tuple[int, ...],
    ) -> None:
        """`unit` turned `before` [B, N, h] into `after` in layer `number`.

        Prompt rows count; negative ones where a call has no others.
        """
        if NEGATIVE in map(kind_of, rows):
            places = [i for i, code in enumerate(rows) if kind_of(code) != NEGATIVE]
            if places and len(places) < len(rows):
                before, after = before[places], after[places]
        before, after = before.float(), after.float()
        squares = torch.stack([(after - before).square().sum(), before.square().sum()])
        key = (number, unit)
        known = self._sums.get(key)
        self._sums[key] = squares if known is None else known + squares
        self._calls[key] = self._calls.get(key, 0) + 1

    def effects(self) -> list[LayerEffect]:
        """What was measured, by layer and unit."""
        found = []
        for (number, unit), sums in sorted(self._sums.items()):
            added, before = sums.sqrt().tolist()
            ratio = added / before if before else 0.0
            found.append(LayerEffect(number, unit, ratio, self._calls[number, unit]))
        return found
