"""The front as a picture: looks that arrive to the right, shapes that leak upwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")  # before pyplot: there is no screen
from matplotlib import pyplot as plt

from tests.effect.arms import NO_ADAPTER, Way
from tests.effect.outcome import share
from tests.effect.report import Found

_COLOURS = ("#444444", "#0072b2", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#56b4e9")
_MARKS = "os^vDPX"


def draw_front(ways: Sequence[Way], outcomes: Found, file: Path) -> None:
    """A curve for each way, a point with its intervals for each strength."""
    figure, axes = plt.subplots(figsize=(9.5, 6.4), dpi=110)
    plain = outcomes[NO_ADAPTER.name][0.0][0]
    for i, way in enumerate(ways):
        points = [verdicts[0] for _, verdicts in sorted(outcomes[way.name].items())]
        if way.turned == "weight":
            points = [plain, *points]
        looks, leaks = (
            [share(hits) for hits in each]
            for each in zip(*((o.styled, o.leaked) for o in points), strict=True)
        )
        axes.errorbar(
            [100 * x for x, _, _ in looks],
            [100 * y for y, _, _ in leaks],
            xerr=_bars(looks),
            yerr=_bars(leaks),
            label=f"{way.name} ({way.turned} {min(way.strengths):g} to {max(way.strengths):g})",
            color=_COLOURS[i % len(_COLOURS)],
            marker=_MARKS[i % len(_MARKS)],
            linestyle="-" if i < len(_COLOURS) else "--",
            markersize=5,
            linewidth=1.2,
            elinewidth=0.6,
        )
    axes.set_xlabel("pictures with the reference's look, %")
    axes.set_ylabel("pictures with the reference's shape, %")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.grid(linewidth=0.3)
    axes.legend(loc="upper left", fontsize=7)
    axes.set_title("More of the look to the right, less of the content below")
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    plt.close(figure)


def _bars(found: list[tuple[float, float, float]]) -> list[list[float]]:
    return [
        [100 * (value - low) for value, low, _ in found],
        [100 * (high - value) for value, _, high in found],
    ]
