"""StyleAligned in one generation; see methods/shared_reference.py."""

from __future__ import annotations

from collections.abc import Collection

from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods.base import Pass
from lib_instantstyle.methods.self_attention import AttentionContext, AttentionMethod, AttentionPart
from lib_instantstyle.methods.shared_features import (
    SHARED_BLOCKS,
    SharedFeatures,
    Sharing,
    StyleAligned,
)
from lib_instantstyle.methods.shared_reference import SharedReference, status
from lib_instantstyle.methods.stylealigned.fields import DECLARED
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.unet.self_attention import AttentionCallback
from lib_instantstyle.units.unit import Unit

OTHERS_ATTEND = (
    "stylealigned computes self-attention, and so does another script (ControlNet's "
    "reference-only is one); in the layers of stylealigned the other one does not act."
)


class StyleAlignedPart(SharedReference):
    """See SharedReference."""

    @property
    def shares_norms(self) -> bool:  # type: ignore[override]
        return bool(self.unit.shared_norms)

    def begin(self, attention: AttentionContext, context: Context) -> None:
        if attention.diffusion.others_attend:
            with context.about(self.unit.number):
                context.notify(OTHERS_ATTEND)

    def callback(
        self, reference: SharedFeatures, attention: AttentionContext, current: Pass
    ) -> AttentionCallback:
        unit = self.unit
        sharing = Sharing(unit.shared_scale, unit.shared_shift, unit.adain)
        return StyleAligned(reference, [layer.heads for layer in attention.layers], sharing).act


class StyleAlignedMethod(AttentionMethod):
    """See AttentionMethod."""

    usual_blocks = SHARED_BLOCKS
    first_of_batch = True

    def status(self, unit: Unit) -> str:
        return status(unit, DECLARED.title, "as to itself")

    def attention_part(
        self, unit: Unit, blocks: Collection[int], picture: Picture | None
    ) -> AttentionPart:
        return StyleAlignedPart(unit, blocks, picture)


METHOD = StyleAlignedMethod()
