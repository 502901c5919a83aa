"""The singular values of a reference's keys and values, and what `purify` makes of them."""

from __future__ import annotations

import torch

from lib_instantstyle.models.adapter_kind import ProjectionShape
from lib_instantstyle.unet.purify import DAMPED_PART, Purify, last_damped
from lib_instantstyle.units.choices import CONCAT, RELATIVE
from lib_instantstyle.units.unit import Unit

_SUBJECT = "the tail of the tokens' singular values, from number {} on, is damped"


def decompose(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Left, S and right with tokens = left diag(1) right, S descending.

    tokens: [..., T, h]. With the singular value decomposition U diag(S) Vh of `tokens` and
    r = min(T, h), left [..., T, r] and right [..., r, h] are U and diag(S) Vh, or U diag(S) and Vh
    where there are more tokens than channels; S is [..., r]. From the eigenvectors of the smaller
    Gram matrix, in float64 on the processor: squares lose half of the digits, and some devices
    have neither.
    """
    exact = tokens.detach().to("cpu", torch.float64)
    wide = exact.shape[-2] <= exact.shape[-1]
    gram = exact @ exact.mT if wide else exact.mT @ exact
    squares, vectors = torch.linalg.eigh(gram)
    singular, vectors = squares.flip(-1).clamp_min(0).sqrt(), vectors.flip(-1)
    left, right = (vectors, vectors.mT @ exact) if wide else (exact @ vectors, vectors.mT)
    return left.to(tokens), singular.to(tokens), right.to(tokens)


def singular_values(tokens: torch.Tensor) -> tuple[float, ...]:
    """Those of `tokens` [T, h], the largest first."""
    found: list[float] = decompose(tokens)[1].tolist()
    return tuple(found)


def purified(
    unit: Unit, key: torch.Tensor, value: torch.Tensor, common: torch.Tensor
) -> Purify | None:
    """What `purify` makes of a reference's `key` and `value` [P, T, h]; None if it changes nothing.

    The P rows are damped each by itself. common: [P, 1] or [1, 1], a factor that is in `value`
    because of the references' weights. It is not the tokens' own, so that half the weight is half
    of the same tokens.
    """
    if unit.purify_keep >= min(key.shape[-2:]):
        return None
    parts = [decompose(tokens) for tokens in (key, value)]
    left, singular, right = (torch.stack(part) for part in zip(*parts))
    if unit.purify_scale == RELATIVE:
        singular = singular / singular[..., :1].clamp_min(torch.finfo(singular.dtype).tiny)
    else:
        singular[1] /= torch.where(common == 0, 1, common.abs())
    singular[..., : unit.purify_keep] = 0
    return Purify(unit.purify, singular, left, right)


def token_count(unit: Unit, projection: ProjectionShape, references: int) -> int | None:
    """How many tokens are decomposed at once; None where the image encoder decides it."""
    each: int | None = getattr(projection, "tokens", None)
    return each and each * (references if unit.combine == CONCAT else 1)


def keeps_all(unit: Unit, tokens: int | None) -> str:
    """A sentence if `purify` cannot act, because every singular value stays; else ""."""
    if tokens is None or unit.purify_keep < tokens:
        return ""
    return (
        f"purify changes nothing, because the reference has {tokens} image tokens and purify_keep "
        f"({unit.purify_keep}) lets as many singular values stay."
    )


def in_steps(unit: Unit, passes: list[tuple[list[int], int]]) -> str:
    """What a plan says of `purify`: until which step it damps in each pass.

    passes: of the first pass, or the only one, and of hires fix's second: the steps, from 1, in
    which the unit acts, and how many the pass has.
    """
    until = [
        f"{step} of {count}{', of hires fix' * number}"
        for number, (steps, count) in enumerate(passes)
        if (step := last_damped(steps, count))
    ]
    subject = _SUBJECT.format(unit.purify_keep + 1)
    if not until:
        return f"{subject} in none of its steps, because they are late"
    return f"{subject} until step {' and until step '.join(until)}"


def in_status(unit: Unit) -> str:
    """What the status line says of `purify`."""
    subject = _SUBJECT.format(unit.purify_keep + 1)
    return f"{subject[:1].upper()}{subject[1:]} in the first {DAMPED_PART:.0%} of the steps."
