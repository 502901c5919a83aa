"""The front as a picture: looks that arrive to the right, shapes that leak upwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")  # before pyplot: there is no screen
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from tests.effect.arms import NO_ADAPTER, Way
from tests.effect.outcome import Outcome, share
from tests.effect.report import Found

_BASELINE = "#444444"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKS = "s^vDPX"


def draw_front(ways: Sequence[Way], outcomes: Found, file: Path) -> None:
    """A part for each thing that ways differ in; in each a curve for the baseline and for every
    way, a point with its intervals for each strength."""
    parts = list(dict.fromkeys(way.about for way in ways))
    rows = -(-len(parts) // 2)
    figure, grid = plt.subplots(
        rows, 2, figsize=(11, 4.6 * rows), dpi=110, sharex=True, sharey=True, squeeze=False
    )
    plain = outcomes[NO_ADAPTER.name][0.0][0]
    for axes, part in zip(grid.flat, parts):
        _curve(axes, ways[0], outcomes, plain, (_BASELINE, "o"))
        shown = [way for way in ways[1:] if way.about == part]
        for way, *drawn in zip(shown, _COLOURS, _MARKS):
            _curve(axes, way, outcomes, plain, drawn)
        axes.set_title(part, fontsize=10)
        axes.grid(linewidth=0.3)
        axes.legend(loc="upper left", fontsize=7.5)
    for axes in grid[-1]:
        axes.set_xlabel("pictures with the reference's look, %")
    for axes in grid[:, 0]:
        axes.set_ylabel("pictures with the reference's shape, %")
    for axes in grid.flat[len(parts) :]:
        axes.remove()
    grid[0, 0].set_xlim(0, 100)
    grid[0, 0].set_ylim(0, 100)
    figure.suptitle("More of the look to the right, less of the content below")
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    plt.close(figure)


def _curve(axes: Axes, way: Way, outcomes: Found, plain: Outcome, drawn: Sequence[str]) -> None:
    points = [verdicts[0] for _, verdicts in sorted(outcomes[way.name].items())]
    if way.turned == "weight":
        points = [plain, *points]
    looks, leaks = (
        [share(hits) for hits in each]
        for each in zip(*((o.styled, o.leaked) for o in points), strict=True)
    )
    colour, mark = drawn
    axes.errorbar(
        [100 * x for x, _, _ in looks],
        [100 * y for y, _, _ in leaks],
        xerr=_bars(looks),
        yerr=_bars(leaks),
        label=f"{way.name} ({way.turned} {', '.join(f'{each:g}' for each in way.strengths)})",
        color=colour,
        marker=mark,
        markersize=5,
        linewidth=1.2,
        elinewidth=0.6,
    )


def _bars(found: list[tuple[float, float, float]]) -> list[list[float]]:
    return [
        [100 * (value - low) for value, low, _ in found],
        [100 * (high - value) for value, _, high in found],
    ]
