"""Shares of pictures, how sure they are, and what one way gains over another at the same looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.effect.arms import Cases

_DRAWS = 4000
_BOUNDS = (0.025, 0.975)  # of 95 %

Hits = NDArray[np.bool_]
Interval = tuple[float, float, float]  # what was found, and its 95 % interval


@dataclass(frozen=True)
class Outcome:
    """What a judge found in the pictures of one arm, case by case [B].

    Where prompts name a look, that is the one to come, and the reference's is a leak.
    """

    kept: Hits  # the prompted shape
    leaked: Hits  # the reference's shape
    styled: Hits  # the reference's look

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of pictures: kept, leaked, styled."""
        return float(self.kept.mean()), float(self.leaked.mean()), float(self.styled.mean())


Front = Mapping[float, Outcome]  # of one way, by strength


@torch.no_grad()
def judged(judge: nn.Module, pictures: Tensor, cases: Cases) -> Outcome:
    shapes, looks = (scores.argmax(1).numpy() for scores in judge(pictures))
    if cases.named is not None:
        return Outcome(shapes == cases.shapes, looks == cases.looks, looks == cases.named)
    return Outcome(
        kept=shapes == cases.shapes,
        leaked=shapes == cases.reference_shapes,
        styled=looks == cases.looks,
    )


def share(hits: Hits) -> Interval:
    """Share of cases, with its bootstrap interval over cases."""
    draws = np.random.default_rng(0).binomial(len(hits), hits.mean(), _DRAWS) / len(hits)
    return (float(hits.mean()), *_bounds(draws))


def difference(a: Hits, b: Hits) -> Interval:
    """Share of `a` minus share of `b`, over the same cases."""
    each = a.astype(float) - b
    draws = [each[rows].mean() for rows in _resampled(len(each))]
    return (float(each.mean()), *_bounds(draws))


def at_same_looks(one: Outcome, baseline: Sequence[Outcome]) -> Interval:
    """Leaks of `one` less those that the baseline has where it gives the look as often.

    `baseline`: outcomes of the same cases from no adapter to full strength; between two of them a
    straight line is taken, and beyond the last one that one's leaks, which is to its advantage.
    Each draw of cases moves both.
    """
    leaked = np.stack([o.leaked for o in (one, *baseline)]).astype(float)
    styled = np.stack([o.styled for o in (one, *baseline)]).astype(float)

    def gain(rows: NDArray[np.int64] | slice) -> float:
        leaks, looks = leaked[:, rows].mean(1), styled[:, rows].mean(1)
        rising = np.maximum.accumulate(looks[1:])
        return float(leaks[0] - np.interp(looks[0], rising, leaks[1:]))

    return (gain(slice(None)), *_bounds([gain(rows) for rows in _resampled(len(one.leaked))]))


def _resampled(count: int) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    return [rng.integers(count, size=count) for _ in range(_DRAWS)]


def _bounds(draws: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(draws, _BOUNDS)
    return float(low), float(high)
