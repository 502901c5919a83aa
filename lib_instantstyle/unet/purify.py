"""Damping of the tail of the image tokens' singular values, early in the sampling: CS-SVD.

Source: CleanStyle (arXiv 2602.20721; svd_function.py and attention_processor.py of its code). Keys
and values [T, h] of the reference's tokens have singular values S. Those from a given number on
become exp(-a S) S, with a = alpha share(t) and t = (completed steps + 1) / steps of the pass. The
published code counts the calls of each layer instead, which is wrong for samplers that evaluate the
UNet several times in a step, in hires fix and after an interrupt.

Shapes: P rows of a bank that are damped, T tokens, h width, r = min(T, h).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

_STEEPNESS, _CENTRE = 20.0, 0.3  # gamma and c of the published code
_NEGLIGIBLE = 1e-5  # share from which on nothing is damped: t = 0.88
_VISIBLE = 0.01  # share below which a step is not called damped: t = 0.53


def share(t: float) -> float:
    """The share of alpha, 0 to 1, in the step that ends when `t` of the pass is completed.

    1 - 1 / (1 + exp(-20 (t - 0.3))) as published; exactly 0 where that is below 1e-5.
    """
    found = 1 / (1 + math.exp(_STEEPNESS * (t - _CENTRE)))
    return found if found >= _NEGLIGIBLE else 0.0


def last_damped(steps: Iterable[int], count: int) -> int:
    """The last of `steps` (from 1) of a pass of `count` whose share is 1 % or more; 0 for none."""
    return max((step for step in steps if share(step / count) >= _VISIBLE), default=0)


DAMPED_PART = _CENTRE + math.log(1 / _VISIBLE - 1) / _STEEPNESS
"""The part of a pass at the end of which the share falls below 1 %."""


@dataclass(frozen=True)
class Purify:
    """Keys and values of one term as they are with damped tails.

    They are `left diag(exp(-a exponents)) right`, keys first and values second, with
    a = alpha share(t). exponents: [2, P, r], 0 for a singular value that stays. left: [2, P, T, r].
    right: [2, P, r, h]. first: which row of the term's bank is the first of the P.
    """

    alpha: float
    exponents: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    first: int = 0

    def largest(self, factor: float) -> float:
        """No number in the damped keys and values, nor in `factor` times the values, is larger."""
        bounds: list[float] = (self.left.abs() @ self.right.abs()).amax(dim=(1, 2, 3)).tolist()
        key, value = bounds
        return max(key, value, value * abs(factor))


class DampedBanks:
    """The damped keys and values of many terms, all of one shape computed at once."""

    def __init__(self, purifies: Iterable[Purify]) -> None:
        alike: dict[tuple[object, ...], list[Purify]] = {}
        for each in purifies:
            key = (each.alpha, each.left.shape, each.right.shape, each.right.device)
            alike.setdefault(key, []).append(each)
        self._stacks = [_Stack(group) for group in alike.values()]
        self._share = 0.0
        self._found: dict[int, torch.Tensor] = {}

    def at(self, t: float) -> dict[int, torch.Tensor]:
        """[2, P, T, h] by the id of each Purify, in the step that ends at `t` of the pass.

        Empty where nothing is damped, and the term's own bank is to be used. Computed when the
        share changes; until then the same tensors are returned.
        """
        now = share(t)
        if now != self._share:
            self._share = now
            self._found = {}
            for stack in self._stacks if now else ():
                self._found.update(zip(stack.ids, stack.damped(now)))
        return self._found


def overwrite(bank: torch.Tensor, damped: torch.Tensor, serving: Sequence[int]) -> None:
    """Write `damped` keys and values [2, P, T, h] into a gathered `bank` [2, B, H, T, d].

    serving: which of the P each of the B rows gets; rows with another number stay as they are.
    """
    _, parts, tokens, _ = damped.shape
    by_head = damped.view(2, parts, tokens, bank.shape[2], -1).transpose(2, 3)
    for served, run in groupby(range(len(serving)), serving.__getitem__):
        these = [*run]
        if 0 <= served < parts:  # one copy for neighbours that get the same
            bank[:, these[0] : these[-1] + 1] = by_head[:, served, None]


class _Stack:
    """Factors of several terms: exponents [L, 2, P, r], left [L, 2, P, T, r], right alike."""

    def __init__(self, purifies: list[Purify]) -> None:
        self.ids = [id(each) for each in purifies]
        self._rates = -purifies[0].alpha * torch.stack([each.exponents for each in purifies])
        self._left = torch.stack([each.left for each in purifies])
        self._right = torch.stack([each.right for each in purifies])

    def damped(self, amount: float) -> torch.Tensor:
        """Keys and values [L, 2, P, T, h] with `amount` of alpha."""
        return (self._left * (self._rates * amount).exp().unsqueeze(-2)) @ self._right
