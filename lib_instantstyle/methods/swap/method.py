"""Swapped self-attention in one generation; see methods/shared_reference.py."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import torch

from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.model_calls import Change
from lib_instantstyle.methods.base import Findings, Pass
from lib_instantstyle.methods.self_attention import (
    AttentionContext,
    AttentionMethod,
    AttentionPart,
    ReferencePicture,
)
from lib_instantstyle.methods.shared_features import (
    SHARED_BLOCKS,
    SWAPPED_BLOCKS,
    ColourCalibration,
    QueryGuided,
    SharedFeatures,
    Size,
    Swapped,
)
from lib_instantstyle.methods.shared_reference import SharedReference, status
from lib_instantstyle.methods.swap.fields import DECLARED
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.unet.inversion import adain
from lib_instantstyle.unet.self_attention import TO_K, TO_Q, TO_V, AttentionCallback
from lib_instantstyle.units.unit import Unit


class SwapPart(SharedReference):
    """See SharedReference."""

    parts = (TO_K, TO_V)
    late_blocks: Collection[int] = ()
    _calibration: ColourCalibration | None = None  # of the current sampling

    def begin(self, attention: AttentionContext, context: Context) -> None:
        if self.unit.colour_calibration:
            self._calibration = ColourCalibration(attention.sigmas)

    def callback(
        self, reference: SharedFeatures, attention: AttentionContext, current: Pass
    ) -> AttentionCallback:
        if not _guides_by_queries(self.unit):
            return Swapped(reference).act
        late = self._late(attention)
        return QueryGuided(reference, late, lambda: current.rows or (), self._sizes).act

    def guidance(
        self,
        reference: SharedFeatures,
        attention: AttentionContext,
        state: torch.Tensor,
        sigma: float,
    ) -> Change | None:
        """Style-prompting guidance (SPG, Pacific Graphics 2025, arXiv 2508.11476).

        s (e_style - e_plain) is added to the noise that the evaluation predicts. Both come with an
        empty prompt, the first with the reference's keys and values, so that the style never meets
        the prompt. The published code has the negative prompt there.
        """
        if not self.unit.style_guidance:
            return None
        self.rows_outside = range(len(state))
        try:
            plain = attention.unconditional(state, sigma)
            with attention.hooks.acting(Swapped(reference).act):
                styled = attention.unconditional(state, sigma)
        finally:
            self.rows_outside = ()
        moved = self.unit.style_guidance * sigma * (styled - plain)
        recoloured = self.change(sigma)

        def guided(predicted: torch.Tensor) -> torch.Tensor:
            found = predicted - moved.to(predicted)
            return found if recoloured is None else recoloured(found)

        return guided

    def _sizes(self) -> tuple[Size, Size]:
        """Height and width of the reference's latent and of those sampled now."""
        if self.picture is None:
            return self.latent_size, self.latent_size
        height, width = self.reference.shape[-2:]
        return (height, width), self.latent_size

    def captured_parts(self, attention: AttentionContext) -> Callable[[int], Collection[str]]:
        if not _guides_by_queries(self.unit):
            return super().captured_parts(attention)
        late = self._late(attention)
        return lambda number: self.parts if number in late else (TO_Q,)

    def _late(self, attention: AttentionContext) -> Collection[int]:
        """The numbers of the layers whose keys and values are swapped."""
        layers = enumerate(attention.layers)
        return {number for number, layer in layers if layer.block.index in self.late_blocks}

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
        return status(unit, DECLARED.title, "instead of itself")

    def attention_part(
        self, unit: Unit, blocks: Collection[int], picture: Picture | None
    ) -> AttentionPart:
        everywhere = SHARED_BLOCKS["sd15"]
        part = SwapPart(unit, everywhere if _guides_by_queries(unit) else blocks, picture)
        part.late_blocks = blocks
        return part

    def check(self, unit: Unit, context: Context, findings: Findings) -> ReferencePicture | None:
        found = super().check(unit, context, findings)
        if (
            unit.negative_query
            and not unit.style_guidance
            and getattr(context.p, "cfg_scale", None) == 1
        ):
            findings.remark(
                "at CFG scale 1 there is no negative prompt, so that negative_query does nothing."
            )
        if unit.negative_query and unit.style_guidance:
            findings.remark("negative_query does nothing beside style_guidance.")
        return found

    def problems(self, unit: Unit, context: Context) -> Iterator[str]:
        if unit.style_guidance and not unit.image:
            yield "style_guidance needs a reference picture; give one, or set style_guidance to 0."


def _guides_by_queries(unit: Unit) -> bool:
    return bool(unit.negative_query and not unit.style_guidance)


METHOD = SwapMethod()
