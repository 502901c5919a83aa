"""Colours that the prompt names against those that the reference shows, in the report: pairs.py."""

from __future__ import annotations

from collections.abc import Sequence

from tests.effect.arms import ALL, ALL_BLOCKS, FUSED, NO_ADAPTER, Arm, equally
from tests.effect.report import cells
from tests.effect.trials import Verdicts

SEED, COUNT = 6, 96
_ADAIN = {"fusion": "adain"}


def arms() -> list[tuple[str, Arm]]:
    """With the weight of each."""
    return [
        ("", NO_ADAPTER),
        ("0.5", equally(ALL, ALL_BLOCKS, 0.5)),
        ("1", equally(ALL, ALL_BLOCKS)),
        ("0.5", equally(FUSED, ALL_BLOCKS, 0.5, fields=_ADAIN)),
        ("1", equally(FUSED, ALL_BLOCKS, fields=_ADAIN)),
    ]


def section(tried: Sequence[tuple[str, Arm]], verdicts: Sequence[Verdicts]) -> list[str]:
    """Lines of the report."""
    lines = [
        "\n## Colours that the prompt names\n",
        "The world's prompts have no words for colours, so that *a red star* cannot be said. They "
        "have a word for each look, and two pairs of looks differ in their colours alone. Here the "
        "prompt names a shape and one look of such a pair, and the reference shows the other look: "
        "whose colours come? How much of a look each way brings at all is in the table of the "
        f"front. {COUNT} cases.\n",
        "| way | weight | kept | named look | reference's look |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (weight, arm), found in zip(tried, verdicts, strict=True):
        kept, reference, told = cells(found)
        lines.append(f"| {arm.name} | {weight} | {kept} | {told} | {reference} |")
    return lines
