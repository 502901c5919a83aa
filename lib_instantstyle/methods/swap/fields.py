"""Swapped self-attention: what it declares, without torch.

Source: Visual Style Prompting, Jeong et al. 2024, arXiv 2402.12974.
"""

from __future__ import annotations

from lib_instantstyle.units.field import METHOD, SELF_ATTENTION, Declared, Field
from lib_instantstyle.units.values import Boolean

FIELDS = (
    Field(
        "colour_calibration", False, Boolean(),
        "Colours of the reference",
        "towards the end the picture gets its mean and deviation in each channel",
        "Visual Style Prompting (`swap`): towards the end the picture gets the reference's mean "
        "and deviation in each channel of the latent",
        group=METHOD, row=7, place=39,
    ),
)  # fmt: skip

DECLARED = Declared(
    "swap",
    "Swapped self-attention",
    FIELDS,
    frozenset(("blocks", "crop", "steps_of_inversion")),
    needs_reference=False,
    excludes=SELF_ATTENTION,
)
