"""What happens in one cross-attention while a UNet call is under way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.unet.attention_sum import AttentionSum
from lib_instantstyle.unet.call_state import CallState, Rows
from lib_instantstyle.unet.image_attention import ImageAttention
from lib_instantstyle.unet.layers import CrossAttention
from lib_instantstyle.unet.plan import AttentionTerm
from lib_instantstyle.unet.reach import Reach


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
        images = self._images.of(query, acting, rows, self._call.damped, hidden.dtype)
        return self._sum.of(hidden, images, rows)
