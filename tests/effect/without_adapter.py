"""The methods without an adapter, in the report: how the reference gets its noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.units.choices import INVERSION, REFERENCE_NOISES, SAME
from tests.effect.arms import NO_ADAPTER, Arm
from tests.effect.outcome import Outcome, difference
from tests.effect.report import cells, points, verdict
from tests.effect.trials import Verdicts

SEED, COUNT = 5, 144
_INTRODUCTION = """
## Methods without an adapter

In `swap` and `stylealigned` the picture attends to the reference, which needs as much noise as the
picture has: `reference_noise` says where it comes from. Each case has a reference of its own. It is
encoded as a WebUI does it, without the silhouette that is the fourth channel of these latents.
The last columns are differences in points, of pictures with the look and of those with the prompted
shape.

Self-attention has 16 x 16 and 8 x 8 places here, and the patterns of most looks are finer, which
may be why little of a look comes with either method as it is. `colour_calibration` and
`shared_norms` bring colours in other ways, and there the noises are compared. {count} cases.
"""


@dataclass(frozen=True)
class Setting:
    """One method with some fields, tried with each of `noises`. against: the name of what it is
    compared with, noise by noise; otherwise each noise is compared with an inversion."""

    name: str
    fields: Mapping[str, Any]
    noises: Sequence[str] = REFERENCE_NOISES
    against: str = ""

    def arm(self, noise: str) -> Arm:
        fields = {**self.fields, "reference_noise": noise}
        return Arm(f"{self.name}, {noise}", {}, fields=fields)


_SWAP, _ALIGNED = {"method": "swap"}, {"method": "stylealigned"}
_CALIBRATED = {**_SWAP, "colour_calibration": True}
CALIBRATED = "swap, colours calibrated"
SETTINGS = (
    Setting("swap", _SWAP, (INVERSION,), NO_ADAPTER.name),
    Setting(CALIBRATED, _CALIBRATED),
    Setting(
        f"{CALIBRATED}, negative_query",
        {**_CALIBRATED, "negative_query": True},
        (SAME,),
        CALIBRATED,
    ),
    Setting("StyleAligned", _ALIGNED, (INVERSION,), NO_ADAPTER.name),
    Setting("StyleAligned, shared norms", {**_ALIGNED, "shared_norms": True}),
)


def arms() -> list[Arm]:
    """No adapter, and each setting with each of its noises."""
    return [NO_ADAPTER, *(each.arm(noise) for each in SETTINGS for noise in each.noises)]


def section(verdicts: Sequence[Verdicts]) -> list[str]:
    """Lines of the report; `verdicts` in the order of `arms`."""
    plain, *others = verdicts
    left = iter(others)
    found = {(each.name, noise): next(left) for each in SETTINGS for noise in each.noises}
    found |= {(NO_ADAPTER.name, noise): plain for noise in REFERENCE_NOISES}
    lines = [
        _INTRODUCTION.format(count=COUNT),
        "| method | reference_noise | kept | leaked | styled | compared with | look | shape |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| {NO_ADAPTER.name} |  | {' | '.join(cells(plain))} |  |  |  |",
    ]
    for setting in SETTINGS:
        for noise in setting.noises:
            other = (setting.against, noise) if setting.against else (setting.name, INVERSION)
            one, names = found[setting.name, noise], [setting.name, noise]
            against = ["", "", ""]
            if other != (setting.name, noise):
                against = [setting.against or INVERSION, *_gains(one[0], found[other][0])]
            lines.append(f"| {' | '.join([*names, *cells(one), *against])} |")
    return lines


def _gains(one: Outcome, other: Outcome) -> list[str]:
    pairs = (one.styled, other.styled), (one.kept, other.kept)
    return [f"{points(d)}, {verdict(d)}" for d in (difference(*pair) for pair in pairs)]
