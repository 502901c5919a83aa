"""Which blocks carry the look in this very model, found on cases that the report does not use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.effect.arms import ALL_BLOCKS, Arm, equally
from tests.effect.outcome import Outcome

Attempt = Callable[[Sequence[Arm]], list[Outcome]]  # by the first judge, in the arms' order

ENOUGH = 0.95  # of the looks that all blocks give, which style blocks shall reach


@dataclass(frozen=True)
class Sweep:
    """alone: what each block does by itself, by transformer index. style: the style blocks found.
    styled, whole: how often these, and all blocks together, give the look."""

    alone: Mapping[int, Outcome]
    style: tuple[int, ...]
    styled: float
    whole: float


def sweep(attempt: Attempt, blocks: Sequence[int] = ALL_BLOCKS) -> Sweep:
    """Rank the blocks by how often each alone gives the look without the shape; take them in this
    order until the look comes often enough."""
    arms = [equally(f"block {block} alone", (block,)) for block in blocks]
    *each, together = attempt([*arms, equally("all blocks", tuple(blocks))])
    alone, whole = dict(zip(blocks, each, strict=True)), float(together.styled.mean())
    ranked = sorted(blocks, key=lambda block: -_merit(alone[block]))
    for count in range(1, len(ranked) + 1):
        style = tuple(sorted(ranked[:count]))
        (together,) = attempt([equally(f"blocks {style}", style)])
        styled = float(together.styled.mean())
        if styled >= ENOUGH * whole:
            break
    return Sweep(alone, style, styled, whole)


def _merit(outcome: Outcome) -> float:
    return float(outcome.styled.mean() - outcome.leaked.mean())
