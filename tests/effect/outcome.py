"""Shares of pictures, and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.effect.arms import Cases
from tests.trained.judge import Judge

_Z = 1.96  # 95 %
_DRAWS = 4000

Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """What the judge found in the pictures of one arm, case by case [B]."""

    kept: Hits  # the prompted shape
    leaked: Hits  # the reference's shape
    styled: Hits  # the reference's look

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of pictures: kept, leaked, styled."""
        return float(self.kept.mean()), float(self.leaked.mean()), float(self.styled.mean())


@torch.no_grad()
def judged(judge: Judge, pictures: Tensor, cases: Cases) -> Outcome:
    shapes, looks = (scores.argmax(1).numpy() for scores in judge(pictures))
    return Outcome(
        kept=shapes == cases.shapes,
        leaked=shapes == cases.reference_shapes,
        styled=looks == cases.looks,
    )


def interval(hits: Hits) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927)."""
    n, share = len(hits), hits.mean()
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def difference(a: Hits, b: Hits, seed: int = 0) -> tuple[float, float, float]:
    """Share of `a` minus share of `b` over the same cases, and its 95 % bootstrap interval."""
    each = a.astype(float) - b
    rng = np.random.default_rng(seed)
    means = rng.choice(each, (_DRAWS, len(each))).mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(each.mean()), float(low), float(high)
