"""StyleID: what it declares, without torch. Source: Chung et al., CVPR 2024, arXiv 2312.09008."""

from __future__ import annotations

from lib_instantstyle.units.advice import BURNT, CONTENT, STRONG, WEAK, By
from lib_instantstyle.units.field import METHOD, SELF_ATTENTION, Declared, Field, Words
from lib_instantstyle.units.values import Number, OneOf

SCHEDULES = SAMPLER, PUBLISHED = "sampler", "published"
GAMMA_CURVES = LINEAR, QUADRATIC, ROOT, COSINE, EXPONENTIAL = (
    "linear",
    "quadratic",
    "square root",
    "cosine",
    "exponential",
)

FIELDS = (
    Field(
        "gamma", 0.75, Number(0, 1),
        "Gamma",
        "gamma: 1 keeps the shapes of the picture to change; 0.3 is close to the style. For more "
        "style try a constant 0.56 first",
        "StyleID: share of the content's query",
        former="Keep of the picture",
        group=METHOD, row=3, place=31,
    ),
    Field(
        "tau", 1.5, Number(0, 5),
        "Tau",
        "tau: multiplies the logits of the attention to it; 1 is none",
        "StyleID: sharpness of the attention to the style",
        former="Sharpness of the style",
        group=METHOD, row=3, place=32,
    ),
    Field(
        "gamma_end", None, Number(0, 1, optional=True),
        "Gamma end",
        "gamma of the last step; empty: gamma is constant. Lower means more style. No study tells "
        "a changing gamma from a lower constant one",
        "StyleID: gamma of the last step; `gamma` is that of the first (arXiv 2605.26538: 0.75 to "
        "0.375). null: gamma is constant",
        former="Keep of the picture, last step",
        group=METHOD, row=10, place=51, control=Words("empty: constant"),
    ),
    Field(
        "gamma_curve", LINEAR, OneOf(GAMMA_CURVES),
        "Gamma curve",
        "from its first value to its last, over the steps",
        "StyleID: the curve from `gamma` to `gamma_end` over the steps",
        former="Curve of gamma",
        group=METHOD, row=10, place=52,
    ),
    Field(
        "schedule", SAMPLER, OneOf(SCHEDULES),
        "Schedule",
        "sampler: its own levels, each asked once on the way up and once on the way down; "
        "published: those of StyleID's code, which goes up to t = 999 and down from t = 961",
        "StyleID: whose noise levels",
        former="Noise levels",
        group=METHOD, row=6, place=35,
    ),
)  # fmt: skip

DECLARED = Declared(
    "styleid",
    "StyleID",
    FIELDS,
    frozenset(("blocks", "crop", "adain", "steps_of_inversion", "hires_pass")),
    uses_weight=False,
    excludes=SELF_ATTENTION,
    advice={
        WEAK: (By("gamma", -0.15, 0.3), By("tau", 0.25, 2.0)),
        STRONG: (By("gamma", 0.1, 0.95), By("adain", -0.25, 0)),
        CONTENT: (By("gamma", 0.1, 0.95), By("start", 0.1, 0.4)),
        BURNT: (By("adain", -0.25, 0.25), By("tau", -0.25, 1.0)),
    },
)
