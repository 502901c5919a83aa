"""What happens in one cross-attention while a UNet call is under way.

Shapes: B rows of the UNet call, N latent tokens, h width, H heads, d = h / H, T image tokens, U
terms that have T in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.files.tensors import check_range
from lib_instantstyle.unet.auto_weight import AutoWeight
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.layers import CrossAttention
from lib_instantstyle.unet.masks import token_grid
from lib_instantstyle.unet.plan import AttentionTerm, When
from lib_instantstyle.unet.purify import overwrite

Rows = tuple[int, ...]  # of a UNet call: each one's kind and image (see unet/rows.py)


@dataclass
class CallState:
    """The UNet call under way, as its layers need to know it."""

    rows: Rows | None = None  # None: the layers need not even look
    strengths: dict[When, float] = field(default_factory=dict)
    latent: tuple[int, int] = (0, 0)  # height, width
    serial: int = 0  # of the call
    acted: set[int] = field(default_factory=set)  # units whose terms were added, in any call
    rows_of_part: Callable[[torch.Tensor | None, Rows, Rows], Rows] | None = None
    meter: EffectMeter | None = None
    auto: Mapping[int, AutoWeight] = field(default_factory=dict)  # by unit
    damped: Mapping[int, torch.Tensor] = field(default_factory=dict)  # see DampedBanks.at


@dataclass(frozen=True)
class _Group:
    """Terms that are attended to at once. key, value: [B, U * H, T, d]."""

    terms: tuple[AttentionTerm, ...]
    key: torch.Tensor
    value: torch.Tensor
    both: torch.Tensor | None = None  # [2, ...], of which they are parts; where terms are damped
    written: dict[int, torch.Tensor] = field(default_factory=dict)  # what `damp` wrote, by term

    def damp(self, damped: Mapping[int, torch.Tensor], rows: Rows) -> None:
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
            overwrite(own, banks, [term.row(code) - term.purify.first for code in rows])


class LayerHook:
    """The hook pair of one cross-attention."""

    def __init__(
        self, found: CrossAttention, terms: Sequence[AttentionTerm], call: CallState
    ) -> None:
        self.fired = 0
        self._found = found
        self._terms = tuple(terms)
        self._call = call
        self._query: torch.Tensor | None = None
        self._context: torch.Tensor | None = None
        self._context_hook: Any = None
        self._taken = (0, 0)  # serial of a call, rows of it that were seen in parts
        self._ready: dict[tuple[Any, ...], list[_Group]] = {}
        self._damped: tuple[int, ...] = ()  # ids of the terms that are damped in what is ready

    def attach(self) -> Iterator[Any]:
        """Put the hooks on; yields what `remove()` takes them off."""
        module: Any = self._found.module
        yield module.to_q.register_forward_hook(self._see_query)
        yield module.to_out[0].register_forward_pre_hook(self._add_terms)
        yield self

    def remove(self) -> None:
        """Take off the hook that is there only where another extension splits the rows."""
        if self._context_hook is not None:
            self._context_hook.remove()
            self._context_hook = None

    def _see_query(self, module: nn.Module, args: Any, query: torch.Tensor) -> None:
        rows = self._call.rows
        self._query = query if rows is not None else None
        if rows is not None and len(query) != len(rows) and self._context_hook is None:
            # Only what the layer attends to tells which rows these are; keys come after queries.
            to_k: Any = self._found.module.to_k
            self._context_hook = to_k.register_forward_pre_hook(self._see_context)

    def _see_context(self, module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        self._context = args[0]

    def _add_terms(self, module: nn.Module, args: tuple[torch.Tensor, ...]) -> Any:
        query, self._query = self._query, None
        context, self._context = self._context, None
        if query is None or self._call.rows is None:
            return None
        strengths = self._call.strengths
        acting = tuple(term for term in self._terms if term.when in strengths)
        if not acting:
            return None
        try:
            hidden = self._attended(args[0], query, acting, self._rows(query, context))
        except (InstantStyleError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # ours to explain: the user would see a bare tensor error
            raise InstantStyleError(
                f"the style could not be added in {self._found.layer.diffusers} "
                f"({type(error).__name__}: {reason(error)})."
            ) from error
        self.fired += 1
        self._call.acted.update(term.unit for term in acting)
        return (hidden, *args[1:])

    def _rows(self, query: torch.Tensor, context: torch.Tensor | None) -> Rows:
        rows = self._call.rows or ()
        if len(query) == len(rows):
            return rows
        if len(set(rows)) == 1:  # all alike: it does not matter which part this is
            return (rows[0],) * len(query)
        if self._call.rows_of_part is None:
            raise InstantStyleError(
                f"another extension calls {self._found.layer.diffusers} with {len(query)} of "
                f"{len(rows)} rows, and which ones cannot be told; switch it off."
            )
        return self._call.rows_of_part(context, self._next_rows(rows, len(query)), rows)

    def _next_rows(self, rows: Rows, count: int) -> Rows:
        """The rows of the call that follow those this layer has seen, going round."""
        serial, first = self._taken
        if serial != self._call.serial:
            first = 0
        self._taken = (self._call.serial, first + count)
        return tuple(rows[place % len(rows)] for place in range(first, first + count))

    def _attended(
        self,
        hidden: torch.Tensor,
        query: torch.Tensor,
        acting: tuple[AttentionTerm, ...],
        rows: Rows,
    ) -> torch.Tensor:
        batch, tokens, width = query.shape
        heads = self._found.heads
        query_heads = query.view(batch, tokens, heads, -1).transpose(1, 2)  # [B, H, N, d]
        for group in self._groups(acting, rows, query):
            count = len(group.terms)
            # Units are further heads: one attention for all of them.
            wide = query_heads if count == 1 else query_heads.repeat(1, count, 1, 1)
            images = F.scaled_dot_product_attention(wide, group.key, group.value)
            for i, term in enumerate(group.terms):
                image = images[:, i * heads : (i + 1) * heads]  # [B, H, N, d]
                image = image.transpose(1, 2).reshape(batch, tokens, width).to(hidden.dtype)
                added = self._add(hidden, image, term, rows)
                if self._call.meter is not None:
                    self._call.meter.note(self._found.layer.number, term.unit, hidden, added, rows)
                hidden = added
        return hidden

    def _add(
        self, hidden: torch.Tensor, image: torch.Tensor, term: AttentionTerm, rows: Rows
    ) -> torch.Tensor:
        # Never in place: the WebUI may keep the tensor it handed over.
        amount = term.weight * self._call.strengths[term.when]
        share = self._mask(hidden, term)
        if term.unit in self._call.auto:
            auto = self._call.auto[term.unit]
            factor = auto.factor(hidden, image, term.weight, rows, self._call.serial)
            if factor is not None:
                factor = factor.to(hidden.dtype)
                share = factor if share is None else share * factor
        if share is None:
            return torch.add(hidden, image, alpha=amount)
        return torch.addcmul(hidden, image, share, value=amount)

    def _mask(self, hidden: torch.Tensor, term: AttentionTerm) -> torch.Tensor | None:
        if term.mask is None:
            return None
        grid = token_grid(*self._call.latent, hidden.shape[1])
        if grid is None:
            raise InstantStyleError(
                f"mask cannot be used: another extension changed the number of tokens in "
                f"{term.layer.diffusers} to {hidden.shape[1]}; switch it off, or use no mask."
            )
        return term.mask.on_grid(*grid, hidden.device, hidden.dtype)

    def _groups(
        self, acting: tuple[AttentionTerm, ...], rows: Rows, query: torch.Tensor
    ) -> list[_Group]:
        """Gathered once for each set of terms and pattern of rows, then looked up."""
        damped = self._call.damped
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
                self._group(terms, rows, query) for terms in by_tokens.values()
            ]
        for group in groups if damped else ():
            group.damp(damped, rows)
        return groups

    def _group(self, terms: list[AttentionTerm], rows: Rows, query: torch.Tensor) -> _Group:
        key = self._gather([term.key for term in terms], terms, rows, query)
        value = self._gather([term.value for term in terms], terms, rows, query)
        if not any(id(term.purify) in self._call.damped for term in terms):
            return _Group(tuple(terms), key, value)
        both = torch.stack([key, value])  # which one copy then writes to
        return _Group(tuple(terms), both[0], both[1], both)

    def _gather(
        self, banks: list[torch.Tensor], terms: list[AttentionTerm], rows: Rows, query: torch.Tensor
    ) -> torch.Tensor:
        """[B, U * H, T, d] from [R, T, h] of each term."""
        parts = []
        for bank, term in zip(banks, terms):
            index = torch.tensor([term.row(code) for code in rows], device=bank.device)
            part = bank[index].to(device=query.device, dtype=query.dtype)
            heads = part.view(len(rows), bank.shape[1], self._found.heads, -1)
            parts.append(heads.transpose(1, 2))
        return torch.cat(parts, dim=1).contiguous()
