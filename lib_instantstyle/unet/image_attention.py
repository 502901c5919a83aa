"""The attention of one cross-attention to the image tokens of all its terms.

Shapes: B rows of the UNet call, N latent tokens, h width, H heads, d = h / H, T image tokens, U
terms that have T in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F

from lib_instantstyle.files.tensors import check_range
from lib_instantstyle.unet.call_state import Rows
from lib_instantstyle.unet.plan import AttentionTerm
from lib_instantstyle.unet.purify import overwrite
from lib_instantstyle.unet.rows import PROMPT, kind_of

Damped = Mapping[int, torch.Tensor]
"""Keys and values that take the place of others now, by the id of their Purify."""


@dataclass(frozen=True)
class Bank:
    """Keys and values that one attention has for several terms.

    key, value: [B, U * H, T, d]. served: by term, the row of its own bank in each of the B rows.
    both: [2, ...], of which key and value are parts; where terms are damped.
    """

    terms: tuple[AttentionTerm, ...]
    served: tuple[tuple[int, ...], ...]
    key: torch.Tensor
    value: torch.Tensor
    both: torch.Tensor | None = None
    written: dict[int, torch.Tensor] = field(default_factory=dict)  # what `damp` wrote, by term

    def damp(self, damped: Damped) -> None:
        """Write what is `damped` over the rows of keys and values that it serves."""
        if self.both is None:
            return
        heads = self.both.shape[2] // len(self.terms)
        for place, term in enumerate(self.terms):
            banks = damped.get(id(term.purify))
            if term.purify is None or banks is None or self.written.get(place) is banks:
                continue
            self.written[place] = banks
            own = self.both[:, :, place * heads : (place + 1) * heads]
            first = term.purify.first
            overwrite(own, banks, [row - first for row in self.served[place]])

    def attend(self, query: torch.Tensor) -> torch.Tensor:
        """[B, U * H, N, d] from queries [B, H, N, d]."""
        count = len(self.terms)
        # Units are further heads: one attention for all of them.
        wide = query if count == 1 else query.repeat(1, count, 1, 1)
        return F.scaled_dot_product_attention(wide, self.key, self.value)


@dataclass(frozen=True)
class _Group:
    """Terms that are attended to at once, and what prompt rows of some of them are guided from."""

    bank: Bank
    away: Bank | None = None  # with the prompt rows alone
    prompts: slice | list[int] = field(default_factory=list)  # where these are


@dataclass(frozen=True)
class Attended:
    """What one term attends to: image [B, N, h], with a row of its bank for each of the B rows.

    away: [prompt rows, N, h], what these rows are guided from, if they are; avoided: the row of the
    bank for each. prompts: where they are among the B.
    """

    term: AttentionTerm
    image: torch.Tensor
    served: tuple[int, ...]
    away: torch.Tensor | None = None
    avoided: tuple[int, ...] = ()
    prompts: slice | list[int] = field(default_factory=list)


class ImageAttention:
    """Keys and values, gathered once for each set of terms and pattern of rows, then looked up."""

    def __init__(self, heads: int) -> None:
        self._heads = heads
        self._ready: dict[tuple[Any, ...], list[_Group]] = {}
        self._damped: tuple[int, ...] = ()  # ids of the terms that are damped in what is ready

    def of(
        self,
        query: torch.Tensor,
        acting: tuple[AttentionTerm, ...],
        rows: Rows,
        damped: Damped,
        dtype: torch.dtype,
    ) -> Iterator[Attended]:
        """What each term attends to with the layer's queries [B, N, h], as `dtype`."""
        batch, tokens, width = query.shape
        heads = self._heads
        query_heads = query.view(batch, tokens, heads, -1).transpose(1, 2)  # [B, H, N, d]

        def of_term(images: torch.Tensor, place: int) -> torch.Tensor:
            image = images[:, place * heads : (place + 1) * heads].transpose(1, 2)
            return image.reshape(len(images), tokens, width).to(dtype)

        for group in self._groups(acting, rows, query, damped):
            images, away = group.bank.attend(query_heads), {}
            if group.away is not None:
                found = group.away.attend(query_heads[group.prompts])
                away = {
                    id(term): (of_term(found, i), avoided, group.prompts)
                    for i, (term, avoided) in enumerate(zip(group.away.terms, group.away.served))
                }
            for i, (term, served) in enumerate(zip(group.bank.terms, group.bank.served)):
                yield Attended(term, of_term(images, i), served, *away.get(id(term), ()))

    def _groups(
        self, acting: tuple[AttentionTerm, ...], rows: Rows, query: torch.Tensor, damped: Damped
    ) -> list[_Group]:
        which = tuple(id(term) for term in acting if id(term.purify) in damped) if damped else ()
        if which != self._damped:  # what was damped is as it was, or the other way round
            self._damped = which
            self._ready.clear()
        pattern = (tuple(map(id, acting)), rows, query.dtype, query.device)
        groups = self._ready.get(pattern)
        if groups is None:
            by_tokens: dict[int, list[AttentionTerm]] = {}
            for term in acting:
                check_range(term.largest, term.source, query.dtype)
                by_tokens.setdefault(term.key.shape[1], []).append(term)
            groups = self._ready[pattern] = [
                self._group(terms, rows, query, damped) for terms in by_tokens.values()
            ]
        for group in groups if damped else ():
            group.bank.damp(damped)
            if group.away is not None:
                group.away.damp(damped)
        return groups

    def _group(
        self, terms: list[AttentionTerm], rows: Rows, query: torch.Tensor, damped: Damped
    ) -> _Group:
        own = [[term.row(code) for code in rows] for term in terms]
        bank = self._bank(terms, own, query, damped)
        prompts = [place for place, code in enumerate(rows) if kind_of(code) == PROMPT]
        away = [term for term in terms if term.guidance and term.away]
        if not prompts or not away:
            return _Group(bank)
        served = [[term.row_to_avoid(rows[place]) for place in prompts] for term in away]
        # A slice is read without an index tensor, for which the processor would wait.
        together = prompts == [*range(prompts[0], prompts[-1] + 1)]
        places = slice(prompts[0], prompts[-1] + 1) if together else prompts
        return _Group(bank, self._bank(away, served, query, damped), places)

    def _bank(
        self,
        terms: Sequence[AttentionTerm],
        served: Sequence[list[int]],
        query: torch.Tensor,
        damped: Damped,
    ) -> Bank:
        key = self._gather([term.key for term in terms], served, query)
        value = self._gather([term.value for term in terms], served, query)
        rows = tuple(map(tuple, served))
        if not any(id(term.purify) in damped for term in terms):
            return Bank(tuple(terms), rows, key, value)
        both = torch.stack([key, value])  # which one copy then writes to
        return Bank(tuple(terms), rows, both[0], both[1], both)

    def _gather(
        self, banks: list[torch.Tensor], served: Sequence[list[int]], query: torch.Tensor
    ) -> torch.Tensor:
        """[B, U * H, T, d] from [R, T, h] of each term."""
        parts = []
        for bank, rows in zip(banks, served):
            index = torch.tensor(rows, device=bank.device)
            part = bank[index].to(device=query.device, dtype=query.dtype)
            heads = part.view(len(rows), bank.shape[1], self._heads, -1)
            parts.append(heads.transpose(1, 2))
        return torch.cat(parts, dim=1).contiguous()
