"""Which blocks carry the look in this very model, found on cases that the report does not use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.effect.arms import ALL_BLOCKS, Arm, equally
from tests.effect.outcome import Outcome

Try = Callable[[Arm], Outcome]

ENOUGH = 0.8  # share of pictures in the reference's look that style blocks shall reach
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Sweep:
    """alone: what each block does by itself, by transformer index. style: the style blocks found,
    and how often they give the look. matched: the weight at which all blocks together do so as
    often."""

    alone: Mapping[int, Outcome]
    style: tuple[int, ...]
    styled: float
    matched: float


def sweep(attempt: Try, blocks: Sequence[int] = ALL_BLOCKS) -> Sweep:
    """Rank the blocks by how often each alone gives the look without the shape; take them in this
    order until the look comes often enough."""
    alone = {block: attempt(equally("alone", (block,))) for block in blocks}
    ranked = sorted(blocks, key=lambda block: -_merit(alone[block]))
    for count in range(1, len(ranked) + 1):
        style = tuple(sorted(ranked[:count]))
        styled = float(attempt(equally("together", style)).styled.mean())
        if styled >= ENOUGH:
            break
    by_weight = {w: attempt(equally("all", tuple(blocks), w)).styled.mean() for w in WEIGHTS}
    matched = min(by_weight, key=lambda weight: abs(by_weight[weight] - styled))
    return Sweep(alone, style, styled, matched)


def _merit(outcome: Outcome) -> float:
    return float(outcome.styled.mean() - outcome.leaked.mean())
