"""The methods without an adapter, in the report: how the reference gets its noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib_instantstyle.units.choices import INVERSION, REFERENCE_NOISES, SAME
from tests.effect.arms import NO_ADAPTER, Arm
from tests.effect.outcome import difference
from tests.effect.report import cells, points, verdict
from tests.effect.trials import Verdicts

SEED, COUNT = 5, 144


@dataclass(frozen=True)
class Setting:
    """One method with some fields, tried with each of `noises`."""

    name: str
    fields: Mapping[str, Any]
    noises: Sequence[str] = REFERENCE_NOISES
    blocks: Mapping[int, float] = field(default_factory=dict)

    def arm(self, noise: str) -> Arm:
        fields = {**self.fields, "reference_noise": noise}
        return Arm(f"{self.name}, {noise}", self.blocks, fields=fields)


_SWAP, _ALIGNED = {"method": "swap"}, {"method": "stylealigned"}
_CALIBRATED = {**_SWAP, "colour_calibration": True}
SETTINGS = (
    Setting("swap", _SWAP, (INVERSION, SAME)),
    Setting("swap, colours calibrated", _CALIBRATED),
    Setting("swap, colours calibrated, negative_query", {**_CALIBRATED, "negative_query": True}),
    Setting("StyleAligned", _ALIGNED, (INVERSION, SAME)),
    Setting("StyleAligned, shared norms", {**_ALIGNED, "shared_norms": True}),
)


def arms() -> list[Arm]:
    """No adapter, and each setting with each of its noises."""
    return [NO_ADAPTER, *(each.arm(noise) for each in SETTINGS for noise in each.noises)]


def section(verdicts: Sequence[Verdicts]) -> list[str]:
    """Lines of the report; `verdicts` in the order of `arms`."""
    lines = [
        "\n## Methods without an adapter\n",
        "Self-attention shares keys and values with the reference, which needs noise of its own: "
        "`reference_noise` says where from. No block gets an adapter's term. The last two columns "
        "compare with *inversion* in the same method, in points: looks that arrive, and prompted "
        f"shapes that are kept. {COUNT} cases.\n",
        "| method | reference_noise | kept | leaked | styled | looks against inversion "
        "| shapes kept against inversion |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    plain, *others = verdicts
    lines.append(_row(NO_ADAPTER.name, "", plain, None))
    left = iter(others)
    for setting in SETTINGS:
        found = dict(zip(setting.noises, left))
        for noise, each in found.items():
            lines.append(_row(setting.name, noise, each, found[INVERSION]))
    return lines


def _row(name: str, noise: str, found: Verdicts, inversion: Verdicts | None) -> str:
    against = ["", ""]
    if inversion is not None and noise != INVERSION:
        first = inversion[0]
        pairs = (found[0].styled, first.styled), (found[0].kept, first.kept)
        against = [f"{points(d)}, {verdict(d)}" for d in (difference(*pair) for pair in pairs)]
    return f"| {name} | {noise} | {' | '.join(cells(found))} | {' | '.join(against)} |"
