"""The report of `make effect`, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lib_instantstyle.layout import SDXL
from tests.effect.arms import ALL, NO_ADAPTER, PAPERS_BLOCK, Way
from tests.effect.outcome import Hits, Interval, Outcome, at_same_looks, difference, share
from tests.effect.sweep import ENOUGH, Sweep
from tests.effect.trials import Verdicts

Found = Mapping[str, Mapping[float, Verdicts]]  # by way and strength; NO_ADAPTER's at strength 0
Gains = Mapping[tuple[str, float], tuple[Interval, Interval]]  # by way and strength; of both judges

_INTRODUCTION = """\
# What a style does, measured

Written by `make effect`; do not edit. The models are those of `tests/trained`: trained from
nothing on a small world of {shapes} shapes in {looks} looks, in SDXL's layout, with an adapter that
leaks the reference's content as real ones do. Each of the {count} cases has a prompt that names one
shape and a reference that shows another shape in some look. The pictures are made by the
extension's own engine.

- **Kept**: the picture has the shape that the prompt names.
- **Leaked**: it has the reference's shape.
- **Styled**: it has the reference's look.

Two networks judge every picture. They know nothing of each other nor of the method, and neither is
the CLIP whose text is subtracted. The numbers are the first judge's where nothing else is said.
Brackets hold 95 % bootstrap intervals over cases. What holds in a model this small need not hold in
SDXL: what is measured is that the mechanism does what it is for, and how much.
"""

_FRONT = """
## The front: looks that arrive against shapes that leak

![Looks against leaks, a curve for each way](effect-front.png)

Further to the right is more of the look, lower is less of the reference's shape. A weaker adapter
also leaks less, but gives less of the look. So the last column compares each way with all blocks
*at the weight where these give the look as often*: the difference of the leaks in points, with a
straight line between two weights. Below zero the way is better than turning the weight down; where
the interval holds zero, the two are not told apart. Square brackets hold what the second judge
finds.

Where words are taken out it is one word, the name of the reference's shape. With one word
`subspace` is `projection`, and has no row. *Purified* is relative to the largest singular value
where nothing else is said. *Fused by AdaIN* is `fusion` adain, and the weight is the share of it.
*Guided away* is `attention_guidance`, from what `guidance_from` names: the zero image, the words
taken out, or a `negative_image`, here a drawing of the reference's shape in black on paper.
"""


def report(found: Sweep, ways: Sequence[Way], outcomes: Found, sizes: Mapping[str, int]) -> str:
    """`sizes` fills the introduction."""
    gains = _gains(ways, outcomes)
    return "\n".join(
        [
            _INTRODUCTION.format(**sizes),
            "## What was found\n",
            *_sentences(ways, outcomes, gains),
            _FRONT,
            *_front(ways, outcomes, gains),
            "\n## Each block by itself\n",
            *_blocks(found),
            "",
        ]
    )


def baseline(outcomes: Found, judge: int = 0) -> list[Outcome]:
    """All blocks from weight 0 up."""
    by_weight = {**outcomes[NO_ADAPTER.name], **outcomes[ALL]}
    return [by_weight[weight][judge] for weight in sorted(by_weight)]


def _gains(ways: Sequence[Way], outcomes: Found) -> Gains:
    """Leaks at the same share of looks by both judges, by way and strength."""
    one, two = (baseline(outcomes, judge) for judge in (0, 1))
    return {
        (way.name, strength): (at_same_looks(a, one), at_same_looks(b, two))
        for way in ways
        if way.name != ALL
        for strength, (a, b) in outcomes[way.name].items()
    }


def _sentences(ways: Sequence[Way], outcomes: Found, gains: Gains) -> list[str]:
    """What each way at its usual strength does to the leaks of all blocks at weight 1."""
    plain = outcomes[NO_ADAPTER.name][0.0][0]
    full = outcomes[ALL][1.0]
    lines = [
        f"- Without an adapter {percent(plain.kept)} of the pictures have the prompted shape.",
        f"- *{ALL}* at weight 1: {percent(full[0].styled)} have the reference's look, and "
        f"{percent(full[0].leaked)} have its shape.",
    ]
    for way in ways:
        if way.name == ALL:
            continue
        one = outcomes[way.name][way.usual]
        less = difference(one[0].leaked, full[0].leaked)
        same, second = gains[way.name, way.usual]
        agreed = verdict(second) == verdict(same)
        other = "" if agreed else f" (by the second judge {verdict(second)})"
        lines.append(
            f"- *{way.name}* at {way.turned} {way.usual:g}: {percent(one[0].styled)} have the "
            f"look, {percent(one[0].leaked)} the reference's shape: {points(less)} points against "
            f"all blocks at weight 1, which is {verdict(less)}; {points(same)} points against all "
            f"blocks at the same share of looks, which is {verdict(same)}{other}."
        )
    agree = [
        float((a.leaked == b.leaked).mean())
        for of_way in outcomes.values()
        for a, b in of_way.values()
    ]
    lines.append(
        f"- The judges agree on whether the shape leaked in {sum(agree) / len(agree):.1%} of the "
        f"pictures, and in no row in fewer than {min(agree):.1%}."
    )
    return lines


def verdict(found: Interval) -> str:
    _, low, high = found
    if high < 0:
        return "less"
    return "more" if low > 0 else "not told apart"


def _front(ways: Sequence[Way], outcomes: Found, gains: Gains) -> list[str]:
    lines = [
        "| way | strength | kept | leaked | styled | leaks at the same share of looks |",
        "| --- | --- | --- | --- | --- | --- |",
        row(NO_ADAPTER.name, "", outcomes[NO_ADAPTER.name][0.0], ""),
    ]
    for way in ways:
        for strength, verdicts in outcomes[way.name].items():
            same = ""
            if way.name != ALL:
                one, two = map(points, gains[way.name, strength])
                same = f"{one} [{two}]"
            lines.append(row(way.name, f"{way.turned} {strength:g}", verdicts, same))
    return lines


def row(name: str, strength: str, verdicts: Verdicts, same: str) -> str:
    return f"| {name} | {strength} | {' | '.join(cells(verdicts))} | {same} |"


def cells(verdicts: Verdicts) -> list[str]:
    """Shares kept, leaked and styled, by both judges."""
    one, two = verdicts
    pairs = (one.kept, two.kept), (one.leaked, two.leaked), (one.styled, two.styled)
    return [f"{percent(a)} [{100 * b.mean():.1f}]" for a, b in pairs]


def _blocks(found: Sweep) -> list[str]:
    lines = ["| block | kept | leaked | styled |", "| --- | --- | --- | --- |"]
    for index, outcome in found.alone.items():
        name = f"{index} `{SDXL.blocks[index].diffusers}`"
        shares = " | ".join(map(percent, (outcome.kept, outcome.leaked, outcome.styled)))
        lines.append(f"| {name} | {shares} |")
    chosen = ", ".join(f"{i} (`{SDXL.blocks[i].diffusers}`)" for i in found.style)
    count = len(found.style)
    suffice = "1 block suffices" if count == 1 else f"{count} blocks suffice"
    enough = f"{suffice} for {ENOUGH:.0%} of the looks that all blocks give: {chosen}"
    paper = found.alone[PAPERS_BLOCK].styled
    lines.append(
        f"\nRanked by styled less leaked, {enough}. These are the style blocks of this report. The "
        f"paper's style block, {PAPERS_BLOCK}, is "
        f"{'one of them' if PAPERS_BLOCK in found.style else 'not among them'}; by itself it "
        f"styles {percent(paper)}."
    )
    return lines


def percent(hits: Hits) -> str:
    found, low, high = share(hits)
    return f"{found:.1%} ({100 * low:.1f} to {100 * high:.1f})"


def points(found: Interval) -> str:
    middle, low, high = (round(100 * value, 1) + 0.0 for value in found)  # no negative zero
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"
