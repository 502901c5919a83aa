"""The UNet call under way, as the hooks of its layers need to know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from lib_instantstyle.unet.auto_weight import AutoWeight
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.plan import When
from lib_instantstyle.unet.rows import image_of

Rows = tuple[int, ...]  # of a UNet call: each one's kind and image (see unet/rows.py)


@dataclass
class CallState:
    """The UNet call under way, as its layers need to know it."""

    rows: Rows | None = None  # None: the layers need not even look
    strengths: dict[When, float] = field(default_factory=dict)
    latent: tuple[int, int] = (0, 0)  # height, width
    serial: int = 0  # of the call
    acted: set[int] = field(default_factory=set)  # units whose terms were added, in any call
    rows_of_part: Callable[[torch.Tensor | None, Rows, Rows], Rows] | None = None
    meter: EffectMeter | None = None
    auto: Mapping[int, AutoWeight] = field(default_factory=dict)  # by unit
    spares_first: bool = False  # the first picture of a batch gets no term
    _styled: dict[tuple[Rows, torch.device], torch.Tensor] = field(default_factory=dict)
    damped: Mapping[int, torch.Tensor] = field(default_factory=dict)  # see DampedBanks.at

    def styled_rows(self, rows: Rows, device: torch.device) -> torch.Tensor:
        """The places of the `rows` that get terms where the first picture gets none, on `device`.

        Made once for each pattern of rows: to make it, the processor waits for the device.
        """
        key = rows, device
        if key not in self._styled:
            places = [place for place, code in enumerate(rows) if image_of(code)]
            self._styled[key] = torch.tensor(places, dtype=torch.long, device=device)
        return self._styled[key]
