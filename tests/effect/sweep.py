"""Which blocks carry the look in this very model, found on cases that the report does not use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.effect.arms import ALL_BLOCKS, Arm, equally
from tests.effect.outcome import Outcome

Attempt = Callable[[Sequence[Arm]], list[Outcome]]  # by the first judge, in the arms' order

ENOUGH = 0.85  # share of pictures in the reference's look that style blocks shall reach


@dataclass(frozen=True)
class Sweep:
    """alone: what each block does by itself, by transformer index. style: the style blocks found,
    and how often they give the look."""

    alone: Mapping[int, Outcome]
    style: tuple[int, ...]
    styled: float


def sweep(attempt: Attempt, blocks: Sequence[int] = ALL_BLOCKS) -> Sweep:
    """Rank the blocks by how often each alone gives the look without the shape; take them in this
    order until the look comes often enough."""
    arms = [equally(f"block {block} alone", (block,)) for block in blocks]
    alone = dict(zip(blocks, attempt(arms), strict=True))
    ranked = sorted(blocks, key=lambda block: -_merit(alone[block]))
    for count in range(1, len(ranked) + 1):
        style = tuple(sorted(ranked[:count]))
        (together,) = attempt([equally(f"blocks {style}", style)])
        styled = float(together.styled.mean())
        if styled >= ENOUGH:
            break
    return Sweep(alone, style, styled)


def _merit(outcome: Outcome) -> float:
    return float(outcome.styled.mean() - outcome.leaked.mean())
