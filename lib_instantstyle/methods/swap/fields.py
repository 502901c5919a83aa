"""Swapped self-attention: what it declares, without torch.

Source: Visual Style Prompting, Jeong et al. 2024, arXiv 2402.12974.
"""

from __future__ import annotations

from lib_instantstyle.units.advice import BURNT, CONTENT, STRONG, WEAK, By, Set
from lib_instantstyle.units.field import EVERY_UNIT, METHOD, SELF_ATTENTION, Declared, Field
from lib_instantstyle.units.values import Boolean, Number

FIELDS = (
    Field(
        "colour_calibration", False, Boolean(),
        "Colour calibration",
        "towards the end the picture gets its mean and deviation in each channel",
        "Visual Style Prompting (`swap`): towards the end the picture gets the reference's mean "
        "and deviation in each channel of the latent",
        former="Colours of the reference",
        group=METHOD, row=7, place=39,
    ),
    Field(
        "negative_query", False, Boolean(),
        "Negative query",
        "keeps more of what the reference shows out; needs CFG above 1",
        "Negative visual query guidance (arXiv 2510.06827) for `swap`: prompt rows take keys and "
        "values of the reference in the usual layers (or those of `blocks`), negative-prompt rows "
        "its queries in all others. Does nothing at CFG scale 1. The layers are a third party's "
        "reading of the paper, and for SD1.5 a guess",
        former="Negative rows query as the reference",
        group=METHOD, row=7, place=57, axes=EVERY_UNIT,
    ),
    Field(
        "style_guidance", 0.0, Number(0, 20),
        "Style guidance",
        "0: off. About 3: the style is added to the guidance and never meets the prompt; two more "
        "calls of the UNet in each step",
        "Style-prompting guidance (arXiv 2508.11476) for `swap`: s times the difference of two "
        "predictions with an empty prompt, with and without the reference's keys and values, is "
        "added to each prediction; the sampler's own calls stay without style. Works at every CFG "
        "scale. 0 is off; 3 is published",
        former="Style as guidance of its own",
        group=METHOD, row=8, place=58, axes=EVERY_UNIT,
    ),
)  # fmt: skip

DECLARED = Declared(
    "swap",
    "Swapped self-attention",
    FIELDS,
    frozenset(("blocks", "crop", "steps_of_inversion", "reference_noise", "hires_pass")),
    needs_reference=False,
    uses_weight=False,
    excludes=SELF_ATTENTION,
    advice={
        WEAK: (By("start", -0.1, 0), By("end", 0.2, 1), Set({"colour_calibration": True})),
        STRONG: (By("start", 0.1, 0.5), By("end", -0.2, 0.4)),
        CONTENT: (Set({"negative_query": True}), By("start", 0.1, 0.5)),
        BURNT: (Set({"colour_calibration": False}), By("end", -0.2, 0.6)),
    },
)
