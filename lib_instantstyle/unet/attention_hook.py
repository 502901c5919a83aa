"""What happens in one cross-attention while a UNet call is under way.

Shapes: B rows of the UNet call, N latent tokens, h width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.unet.call_state import CallState, Rows
from lib_instantstyle.unet.fusion import cross_modal, guided
from lib_instantstyle.unet.image_attention import Attended, ImageAttention
from lib_instantstyle.unet.layers import CrossAttention
from lib_instantstyle.unet.masks import token_grid
from lib_instantstyle.unet.plan import AttentionTerm
from lib_instantstyle.unet.reach import Reach
from lib_instantstyle.unet.rows import image_of


class LayerHook:
    """The hook pair of one cross-attention."""

    def __init__(
        self, found: CrossAttention, terms: Sequence[AttentionTerm], call: CallState
    ) -> None:
        self.fired = 0
        self.reach = Reach(found.layer.diffusers, frozenset(term.when for term in terms))
        self._found = found
        self._terms = tuple(terms)
        self._call = call
        self._query: torch.Tensor | None = None
        self._context: torch.Tensor | None = None
        self._context_hook: Any = None
        self._taken = (0, 0)  # serial of a call, rows of it that were seen in parts
        self._images = ImageAttention(found.heads)
        self._sum = AttentionSum(found.layer.number, call)

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
        self.reach.note(self._call.serial)
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
        if not self._call.spares_first:
            return self._with_terms(hidden, query, acting, rows)
        places = self._call.styled_rows(rows, hidden.device)
        if not len(places):
            return hidden
        own = tuple(code for code in rows if image_of(code))
        styled = self._with_terms(hidden[places], query[places], acting, own)
        return hidden.index_copy(0, places, styled)

    def _with_terms(
        self,
        hidden: torch.Tensor,
        query: torch.Tensor,
        acting: tuple[AttentionTerm, ...],
        rows: Rows,
    ) -> torch.Tensor:
        images = self._images.of(query, acting, rows, self._call.damped, hidden.dtype)
        return self._sum.of(hidden, images, rows)


class AttentionSum:
    """Adds terms to the text's attention, or fuses them with it."""

    def __init__(self, number: int, call: CallState) -> None:
        """number: of the layer, N in adapter files."""
        self._number = number
        self._call = call

    def of(self, hidden: torch.Tensor, images: Iterable[Attended], rows: Rows) -> torch.Tensor:
        """The text's attention `hidden` [B, N, h] with all terms."""
        text, last = hidden, []
        for each in images:
            if each.term.fused:
                last.append(each)  # they share the text among each other
            else:
                added = self._added(text, hidden, each, rows)
                self._note(each.term, hidden, added, rows)
                hidden = added
        for each, styled in self._fused(text, last, rows) if last else ():
            added = styled if hidden is text else hidden + (styled - text)
            self._note(each.term, hidden, added, rows)
            hidden = added
        return hidden

    def _note(
        self, term: AttentionTerm, before: torch.Tensor, after: torch.Tensor, rows: Rows
    ) -> None:
        if self._call.meter is not None:
            self._call.meter.note(self._number, term.unit, before, after, rows)

    def _added(
        self, text: torch.Tensor, hidden: torch.Tensor, each: Attended, rows: Rows
    ) -> torch.Tensor:
        """`hidden` with the term added; guidance compares with the text's attention alone."""
        # Never in place: the WebUI may keep the tensor it handed over.
        term = each.term
        amount = term.weight * self._call.strengths[term.when]
        share = self._mask(hidden, term)
        factor = self._factor(text if each.away is not None else hidden, each, rows)
        if factor is not None:
            factor = factor.to(hidden.dtype)
            share = factor if share is None else share * factor

        def add(before: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
            if share is None:
                return torch.add(before, image, alpha=amount)
            return torch.addcmul(before, image, share, value=amount)

        if each.away is None:
            return add(hidden, each.image)
        styled = _guided(add(text, each.image), add(text[each.prompts], each.away), each)
        return styled if hidden is text else hidden + (styled - text)

    def _factor(self, text: torch.Tensor, each: Attended, rows: Rows) -> torch.Tensor | None:
        term = each.term
        auto = self._call.auto.get(term.unit)
        if auto is None:
            return None
        return auto.factor(text, each.image, term.weight, rows, self._call.serial)

    def _fused(
        self, text: torch.Tensor, fused: Sequence[Attended], rows: Rows
    ) -> Iterator[tuple[Attended, torch.Tensor]]:
        """What each term makes of the text alone, so that their order does not matter.

        Where their shares come to more than 1 they are divided by their sum.
        """
        factors = [self._factor(text, each, rows) for each in fused]
        shares = [
            self._share(text, each.term, each.served, factor)
            for each, factor in zip(fused, factors)
        ]
        total = text.new_ones(1, 1, 1)
        if len(shares) > 1:
            total = sum(shares, torch.zeros_like(total)).clamp_min(1)
        for each, factor, share in zip(fused, factors, shares):
            term, mask = each.term, self._mask(text, each.term)
            styled = torch.lerp(text, cross_modal(text, each.image, mask), share / total)
            if each.away is not None:
                own = text[each.prompts]
                share = self._share(text, term, each.avoided, factor)
                share = share / (total if len(total) == 1 else total[each.prompts])
                away = torch.lerp(own, cross_modal(own, each.away, mask), share)
                styled = _guided(styled, away, each)
            yield each, styled

    def _share(
        self,
        text: torch.Tensor,
        term: AttentionTerm,
        served: Sequence[int],
        factor: torch.Tensor | None,
    ) -> torch.Tensor:
        """The share with which text and image are fused, 0 to 1: [rows or 1, N or 1, 1].

        served: by row of the UNet call, the row of the term's bank. factor: of auto_weight.
        """
        most = term.weight * self._call.strengths[term.when]
        by_row = [term.fused[row] * most for row in served]
        if len(set(by_row)) == 1:  # filled on the device, and not copied to it
            share = text.new_full((1, 1, 1), by_row[0])
        else:
            share = text.new_tensor(by_row)[:, None, None]
        if factor is not None:
            share = share * factor.to(text.dtype)
        share = share.clamp(0, 1)
        mask = self._mask(text, term)
        return share if mask is None else share * mask

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


def _guided(styled: torch.Tensor, away: torch.Tensor, each: Attended) -> torch.Tensor:
    """`styled` [B, N, h] with its prompt rows guided away from `away`."""
    if len(away) == len(styled):
        return guided(styled, away, each.term.guidance)
    changed = styled.clone()
    changed[each.prompts] = guided(styled[each.prompts], away, each.term.guidance)
    return changed
