"""The report of `make effect`, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lib_instantstyle.layout import SDXL
from tests.effect.arms import Arm
from tests.effect.outcome import Hits, Outcome, difference, interval
from tests.effect.sweep import ENOUGH, Sweep

PAPERS_BLOCK = 6  # up_blocks.0.attentions.1, which InstantStyle calls the style block

_INTRODUCTION = """\
# What a style does, measured

Written by `make effect`; do not edit. The models are those of `tests/trained`: trained from
nothing on a small world of {shapes} shapes in {looks} looks, in SDXL's layout. Each of the {count}
cases has a prompt that names one shape and a reference that shows another shape in some look. The
pictures are painted through the extension's own engine, and a network that knows nothing of the
method judges them. **Kept**: the picture has the prompted shape. **Leaked**: it has the reference's
shape. **Styled**: it has the reference's look. In brackets are 95 % intervals. What holds in a
model this small need not hold in SDXL; what is measured is that the mechanism does what it is there
for, and how much.
"""


def report(
    found: Sweep, arms: Sequence[Arm], outcomes: Mapping[str, Outcome], sizes: Mapping[str, int]
) -> str:
    """`outcomes` by the arms' names; `sizes` fills the introduction."""
    return "\n".join(
        [
            _INTRODUCTION.format(**sizes),
            "## Each block by itself\n",
            *_blocks(found),
            "\n## Ways to use a reference\n",
            *_arms(arms, outcomes),
            "",
        ]
    )


def _blocks(found: Sweep) -> list[str]:
    lines = ["| block | kept | leaked | styled |", "| --- | --- | --- | --- |"]
    for index, outcome in found.alone.items():
        name = f"{index} `{SDXL.blocks[index].diffusers}`"
        lines.append(f"| {name} | {_cells(outcome)} |")
    chosen = ", ".join(f"{i} (`{SDXL.blocks[i].diffusers}`)" for i in found.style)
    if found.styled >= ENOUGH:
        count = len(found.style)
        suffice = "1 block suffices" if count == 1 else f"{count} blocks suffice"
        enough = f"{suffice} for {ENOUGH:.0%} styled: {chosen}"
    else:
        enough = f"all blocks together reach {found.styled:.0%} styled, not {ENOUGH:.0%}"
    paper = found.alone[PAPERS_BLOCK].styled
    lines.append(
        f"\nRanked by styled less leaked, {enough}. The paper's style block, {PAPERS_BLOCK}, is "
        f"{'one of them' if PAPERS_BLOCK in found.style else 'not among them'}; by itself it "
        f"styles {_share(paper)}. At weight {found.matched:g} all blocks style about as often as "
        "the style blocks do at 1."
    )
    return lines


def _arms(arms: Sequence[Arm], outcomes: Mapping[str, Outcome]) -> list[str]:
    lines = ["| way | kept | leaked | styled |", "| --- | --- | --- | --- |"]
    lines += [f"| {arm.name} | {_cells(outcomes[arm.name])} |" for arm in arms]
    return lines


def compared(outcomes: Mapping[str, Outcome], one: str, other: str, claim: str) -> str:
    """One sentence on leaks: `claim` is what is held to be so if `one` leaks less than `other`."""
    less, low, high = difference(outcomes[one].leaked, outcomes[other].leaked)
    if high < 0:
        verdict = f"So {claim}."
    elif low > 0:
        verdict = f"So it is not so that {claim}: the opposite was measured."
    else:
        verdict = f"The interval holds zero: whether {claim} was not decided."
    return (
        f"- Leaks of *{one}* less those of *{other}*: {100 * less:+.1f} points "
        f"({100 * low:+.1f} to {100 * high:+.1f}). {verdict}"
    )


def _cells(outcome: Outcome) -> str:
    return " | ".join(_share(hits) for hits in (outcome.kept, outcome.leaked, outcome.styled))


def _share(hits: Hits) -> str:
    low, high = interval(hits)
    return f"{hits.mean():.1%} ({low:.1%} to {high:.1%})"
