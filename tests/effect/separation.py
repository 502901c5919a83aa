"""Colours of one reference and texture of another, in the report: see pairs.py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib_instantstyle.units.choices import COLOUR_TEXTURE
from tests.effect.arms import Arm
from tests.effect.outcome import share
from tests.effect.trials import Verdicts
from tests.trained.world import LOOKS

TOGETHER = (COLOUR_TEXTURE, "average")  # ways to make one of two references
SEED, COUNT = 4, 240


def arms(style: tuple[int, ...]) -> list[Arm]:
    """The style blocks with each way to make one of two references."""
    blocks = dict.fromkeys(style, 1.0)
    return [Arm(f"two references, {name}", blocks, together=name) for name in TOGETHER]


def section(tried: Sequence[Arm], verdicts: Sequence[Verdicts], by_colour: np.ndarray) -> list[str]:
    """Lines of the report."""
    lines = [
        "\n## Colours of one, texture of another\n",
        "Two references whose looks differ in colour alone, or in texture alone, in the style "
        "blocks. Expected is the look with the first one's colours and the second one's texture: "
        f"by chance 1 of {len(LOOKS)} looks. A way that does not tell the two references apart "
        f"gets half of what it styles. {COUNT} cases.\n",
        "| way | differ in | expected look |",
        "| --- | --- | --- |",
    ]
    for arm, (one, two) in zip(tried, verdicts, strict=True):
        for name, rows in (("colour", by_colour), ("texture", ~by_colour)):
            found, low, high = (100 * value for value in share(one.styled[rows]))
            other = 100 * two.styled[rows].mean()
            lines.append(
                f"| {arm.name} | {name} | {found:.1f}% ({low:.1f} to {high:.1f}) [{other:.1f}] |"
            )
    return lines
