"""Further strengths and settings, in the report: each against what it is a change of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lib_instantstyle.units.choices import PUBLISHED, RELATIVE, REMOVED_CONTENT, SAME
from tests.effect.arms import (
    ALL,
    ALL_BLOCKS,
    AS_PUBLISHED,
    BOTH,
    DEFAULT_REMOVED,
    FROM_WORDS,
    FROM_ZERO,
    GUIDANCE,
    MASKED,
    NO_ADAPTER,
    PURIFIED,
    STYLE,
    SUBTRACTED,
    Arm,
    equally,
)
from tests.effect.outcome import difference
from tests.effect.report import cells, points, verdict
from tests.effect.trials import Verdicts
from tests.effect.without_adapter import CALIBRATED

SEED, COUNT = 7, 240
_AWAY = "moved away from the words"
_INTRODUCTION = """
## Further strengths and settings

The last columns are differences in points between a row and the one that it is compared with, on
the same cases: of pictures with the reference's shape, and of those with its look. A
`content_share` of 0 splits the elements in two by their own values. *Moved away from the words* is
`negative_content`: negative rows get what is subtracted. `layout_lock` takes queries and keys of
the picture without the style in that share of the steps. {count} cases.
"""


@dataclass(frozen=True)
class Setting:
    """One row. against: the name of the row that it is compared with; empty: with none."""

    name: str
    setting: str
    arm: Arm
    against: str = ""


def settings(style: tuple[int, ...]) -> tuple[Setting, ...]:
    """All rows. `style`: the blocks that carry the look in these models."""
    full, blocks = equally(ALL, ALL_BLOCKS), equally(STYLE, style)
    subtracted, of_style = (x.removing("difference", DEFAULT_REMOVED) for x in (full, blocks))
    calibrated = {"method": "swap", "colour_calibration": True, "reference_noise": SAME}

    def masked(share: float) -> Arm:
        return replace(full, fields={"content_share": share}).removing("mask", 1.0)

    def purified(alpha: float, measured: str) -> Arm:
        return replace(full, fields={"purify": alpha, "purify_scale": measured})

    def negated(arm: Arm) -> Arm:
        return replace(arm, fields={**arm.fields, "negative_content": True})

    def locked(arm: Arm, share: float) -> Arm:
        return replace(arm, fields={**arm.fields, "layout_lock": share})

    words = replace(full, fields={GUIDANCE: 4.0, "guidance_from": REMOVED_CONTENT})
    return (
        Setting(NO_ADAPTER.name, "", NO_ADAPTER),
        Setting(ALL, "weight 1", full, NO_ADAPTER.name),
        Setting(STYLE, "weight 1", blocks, ALL),
        Setting(SUBTRACTED, "content_scale 0.5", subtracted, ALL),
        Setting(MASKED, "content_share 0", masked(0.0), ALL),
        Setting(MASKED, "content_share 0.1", masked(0.1), ALL),
        Setting(PURIFIED, "purify 2", purified(2.0, RELATIVE), ALL),
        Setting(AS_PUBLISHED, "purify 0.01", purified(0.01, PUBLISHED), ALL),
        Setting(FROM_ZERO, f"{GUIDANCE} 4", replace(full, fields={GUIDANCE: 4.0}), ALL),
        Setting(
            FROM_WORDS, f"{GUIDANCE} 4", words.removing("difference", DEFAULT_REMOVED), SUBTRACTED
        ),
        Setting(f"{SUBTRACTED}, {_AWAY}", "content_scale 0.5", negated(subtracted), SUBTRACTED),
        Setting(BOTH, "content_scale 0.5", of_style, STYLE),
        Setting(f"{BOTH}, {_AWAY}", "content_scale 0.5", negated(of_style), BOTH),
        Setting(f"{ALL}, layout locked", "layout_lock 0.25", locked(full, 0.25), ALL),
        Setting(f"{ALL}, layout locked", "layout_lock 0.5", locked(full, 0.5), ALL),
        Setting(f"{STYLE}, layout locked", "layout_lock 0.5", locked(blocks, 0.5), STYLE),
        Setting(CALIBRATED, "reference_noise same", _arm(CALIBRATED, calibrated), NO_ADAPTER.name),
        Setting(
            f"{CALIBRATED}, guided",
            "style_guidance 2",
            _arm(CALIBRATED, {**calibrated, "style_guidance": 2.0}),
            CALIBRATED,
        ),
    )


def _arm(name: str, fields: dict) -> Arm:
    return Arm(name, {}, fields=fields)


def section(rows: Sequence[Setting], verdicts: Sequence[Verdicts]) -> list[str]:
    """Lines of the report; `verdicts` in the order of `rows`."""
    found: dict[str, Verdicts] = {}
    for each, outcomes in zip(rows, verdicts, strict=True):
        found.setdefault(each.name, outcomes)
    lines = [
        _INTRODUCTION.format(count=COUNT),
        "| way | setting | kept | leaked | styled | compared with | leaks | look |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each, outcomes in zip(rows, verdicts, strict=True):
        against = ["", "", ""]
        if each.against:
            one, other = outcomes[0], found[each.against][0]
            pairs = (one.leaked, other.leaked), (one.styled, other.styled)
            gains = [f"{points(d)}, {verdict(d)}" for d in (difference(*pair) for pair in pairs)]
            against = [each.against, *gains]
        lines.append(f"| {' | '.join([each.name, each.setting, *cells(outcomes), *against])} |")
    return lines
