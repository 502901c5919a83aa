"""StyleAligned: what it declares, without torch. Source: Hertz et al. 2023, arXiv 2312.02133."""

from __future__ import annotations

from lib_instantstyle.units.advice import BURNT, CONTENT, STRONG, WEAK, By, Set
from lib_instantstyle.units.field import METHOD, SELF_ATTENTION, Declared, Field, Slider
from lib_instantstyle.units.values import Boolean, Number

FIELDS = (
    Field(
        "shared_scale", 1.0, Number(0, 5),
        "Shared scale",
        "below 1 the picture attends to it less",
        "StyleAligned: scale of the reference's keys",
        former="Scale of the reference's keys",
        group=METHOD, row=4, place=36,
    ),
    Field(
        "shared_shift", 0.6931, Number(-10, 10),
        "Shared shift",
        "added to the reference's logits: 0.6931 counts it twice and suits a picture from a file, "
        "0 the first picture of a batch",
        "StyleAligned: added to the reference's logits; higher is closer to the reference",
        former="Closeness to the reference",
        group=METHOD, row=4, place=37, control=Slider(0.0001),
    ),
    Field(
        "shared_norms", False, Boolean(),
        "Shared norms",
        "group norms over the picture and the reference together: closer to it",
        "StyleAligned: group norms take the picture and the reference together",
        former="Share norms with the reference",
        group=METHOD, row=7, place=38,
    ),
)  # fmt: skip

DECLARED = Declared(
    "stylealigned",
    "StyleAligned",
    FIELDS,
    frozenset(("blocks", "crop", "adain", "steps_of_inversion", "reference_noise", "hires_pass")),
    needs_reference=False,
    uses_weight=False,
    excludes=SELF_ATTENTION,
    advice={
        WEAK: (By("shared_shift", 0.4, 2.0), Set({"shared_norms": True})),
        STRONG: (By("shared_shift", -0.4, -1.0), By("adain", -0.25, 0)),
        CONTENT: (By("shared_shift", -0.4, 0), By("start", 0.1, 0.4)),
        BURNT: (By("adain", -0.25, 0.25), By("end", -0.2, 0.6)),
    },
)
