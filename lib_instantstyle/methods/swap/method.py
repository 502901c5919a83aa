"""Swapped self-attention in one generation; see methods/shared_reference.py."""

from __future__ import annotations

from collections.abc import Collection

import torch

from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.model_calls import Change
from lib_instantstyle.methods.self_attention import AttentionContext, AttentionMethod, AttentionPart
from lib_instantstyle.methods.shared_features import (
    SWAPPED_BLOCKS,
    ColourCalibration,
    SharedFeatures,
    Swapped,
)
from lib_instantstyle.methods.shared_reference import STATUS, SharedReference
from lib_instantstyle.methods.swap.fields import DECLARED
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.unet.inversion import adain
from lib_instantstyle.unet.self_attention import TO_K, TO_V, AttentionCallback
from lib_instantstyle.units.unit import Unit


class SwapPart(SharedReference):
    """See SharedReference."""

    parts = (TO_K, TO_V)
    _calibration: ColourCalibration | None = None  # of the current sampling

    def begin(self, attention: AttentionContext, context: Context) -> None:
        if self.unit.colour_calibration:
            self._calibration = ColourCalibration(attention.sigmas)

    def callback(self, reference: SharedFeatures, attention: AttentionContext) -> AttentionCallback:
        return Swapped(reference).act

    def change(self, sigma: float) -> Change | None:
        due = self._calibration is not None and self._calibration.is_due(sigma)
        return self._calibrated if due else None

    def _calibrated(self, predicted: torch.Tensor) -> torch.Tensor:
        """The pictures [B, 4, h, w] with the colours of the reference."""
        reference = predicted[:1] if self.picture is None else self.reference.to(predicted)
        return adain(predicted, reference, (2, 3))


class SwapMethod(AttentionMethod):
    """See AttentionMethod."""

    usual_blocks = SWAPPED_BLOCKS
    first_of_batch = True

    def status(self, unit: Unit) -> str:
        return STATUS.format(DECLARED.title, "instead of itself")

    def attention_part(
        self, unit: Unit, blocks: Collection[int], picture: Picture | None
    ) -> AttentionPart:
        return SwapPart(unit, blocks, picture)


METHOD = SwapMethod()
