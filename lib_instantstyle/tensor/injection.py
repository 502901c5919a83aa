"""The hook pair that puts image attention into a live UNet, and takes itself out again.

An IP-Adapter adds one term to a cross-attention: `to_out(text_attention + weight *
softmax(q K^T / sqrt(d)) V)`. A forward hook on `to_q` sees q; a forward pre-hook on `to_out[0]`
adds the term to its input. The WebUI's own attention, whatever it is, runs untouched between the
two. (`to_out` as a whole would not do: some optimisations call `to_out[0]` past it.)

Shapes: B rows of the UNet call, N latent tokens, h width, H heads, d = h / H, T image tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.schedule import acts
from lib_instantstyle.tensor.plan import Plan, Term
from lib_instantstyle.tensor.unet import CrossAttention, UnetLayers

Rows = tuple[int, ...]  # kind of each row of a UNet call: 0 prompt, 1 negative prompt

_MARK = "_instantstyle_handles"  # on the UNet, so that whoever comes next finds what was left


@dataclass(frozen=True)
class UnetCall:
    """What can be seen of a UNet call from outside."""

    rows: int  # B
    context: torch.Tensor | None  # [B, L, C], the prompts' tokens
    options: Mapping[str, Any]  # transformer_options, where the WebUI sends them


@dataclass(frozen=True)
class Clock:
    """What a UNet call is told: which rows it has, and how far the pass has come.

    rows: the kinds of the rows of a call, or None for a call that is no part of the denoising and
    gets nothing. fraction: completed share of the pass.
    """

    rows: Callable[[UnetCall], Rows | None]
    fraction: Callable[[], float]


class _Call:
    """The UNet call under way."""

    def __init__(self) -> None:
        self.rows: Rows | None = None
        self.fraction = 0.0


class _LayerHook:
    """The hook pair of one cross-attention."""

    def __init__(self, found: CrossAttention, terms: list[Term], call: _Call) -> None:
        self.fired = 0
        self._found = found
        self._terms = terms
        self._call = call
        self._query: torch.Tensor | None = None
        self._ready: dict[tuple[Any, ...], tuple[torch.Tensor, torch.Tensor]] = {}

    def see_query(self, module: nn.Module, args: Any, query: torch.Tensor) -> None:
        self._query = query if self._call.rows is not None else None

    def add_term(self, module: nn.Module, args: tuple[torch.Tensor, ...]) -> Any:
        try:
            return self._add_term(args)
        except (InstantStyleError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # ours to explain: the user would see a bare tensor error
            raise InstantStyleError(
                f"the style could not be added in {self._found.layer.diffusers} "
                f"({type(error).__name__}: {error})."
            ) from error

    def _add_term(self, args: tuple[torch.Tensor, ...]) -> Any:
        query, self._query = self._query, None
        rows = self._call.rows
        if query is None or rows is None:
            return None
        hidden, *rest = args
        added = False
        for i, term in enumerate(self._terms):
            if acts(term.start, term.end, self._call.fraction):
                image = self._attend(i, term, query, rows)
                # Not in place: the WebUI may keep the tensor it handed over.
                hidden = torch.add(hidden, image.to(hidden.dtype), alpha=term.weight)
                added = True
        if not added:
            return None
        self.fired += 1
        return (hidden, *rest)

    def _attend(self, i: int, term: Term, query: torch.Tensor, rows: Rows) -> torch.Tensor:
        batch, tokens, width = query.shape
        if batch != len(rows):
            # Another extension calls this layer with a part of the rows. Where all rows of the
            # call are of one kind it does not matter which part.
            if len(set(rows)) != 1:
                raise InstantStyleError(
                    f"another extension calls {term.layer.diffusers} with {batch} of "
                    f"{len(rows)} rows, and which ones cannot be told; switch it off."
                )
            rows = (rows[0],) * batch
        key, value = self._rows_of(i, term, query, rows)
        heads = query.view(batch, tokens, self._found.heads, -1).transpose(1, 2)  # [B, H, N, d]
        image = F.scaled_dot_product_attention(heads, key, value)
        return image.transpose(1, 2).reshape(batch, tokens, width)

    def _rows_of(
        self, i: int, term: Term, query: torch.Tensor, rows: Rows
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """K and V [B, H, T, d] for `rows`; gathered once per pattern of rows, then looked up."""
        pattern = (i, rows, query.dtype, query.device)
        found = self._ready.get(pattern)
        if found is None:
            index = torch.tensor(rows, device=term.key.device)
            key, value = (
                bank[index]
                .to(device=query.device, dtype=query.dtype)
                .view(len(rows), bank.shape[1], self._found.heads, -1)
                .transpose(1, 2)
                .contiguous()
                for bank in (term.key, term.value)
            )
            found = self._ready[pattern] = (key, value)
        return found


class Injection:
    """A plan on a UNet. Whoever makes one detaches it, however the sampling ends; see `inject`."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._call = _Call()
        self._hooks: list[_LayerHook] = []
        self.unet: nn.Module | None = None
        self.unknown_calls = 0  # UNet calls whose rows nobody announced

    @property
    def fired(self) -> int:
        """How often a layer received a term."""
        return sum(hook.fired for hook in self._hooks)

    def attach(self, unet: nn.Module, layers: UnetLayers) -> None:
        """Put the hooks on `unet`, and off the UNet they stood on before.

        Only layers that have a term get a hook. Hooks that an earlier run left on the UNet are
        removed first.
        """
        self.detach()
        remove_hooks(unet)
        handles: list[Any] = []
        setattr(unet, _MARK, handles)
        self.unet = unet
        handles.append(unet.register_forward_pre_hook(self._before_unet, with_kwargs=True))
        for number, found in layers.by_number.items():
            terms = [term for term in self._plan.terms if term.layer.number == number]
            if not terms:
                continue
            hook = _LayerHook(found, terms, self._call)
            self._hooks.append(hook)
            module: Any = found.module
            handles.append(module.to_q.register_forward_hook(hook.see_query))
            handles.append(module.to_out[0].register_forward_pre_hook(hook.add_term))

    def detach(self) -> None:
        """Take the hooks off; the UNet is then as it was."""
        if self.unet is not None:
            remove_hooks(self.unet)
            self.unet = None

    def _before_unet(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        x = args[0] if args else kwargs.get("x", kwargs.get("sample"))
        context = kwargs.get("context", kwargs.get("encoder_hidden_states"))
        if context is None and len(args) > 2:
            context = args[2]
        options = kwargs.get("transformer_options") or {}
        call = self._call
        call.rows = self._clock.rows(UnetCall(len(x), context, options)) if x is not None else None
        if call.rows is None:
            self.unknown_calls += 1
            return
        call.fraction = self._clock.fraction()
        if not self._plan.acts(call.fraction):
            call.rows = None  # the layers need not even look


@contextmanager
def inject(unet: nn.Module, layers: UnetLayers, plan: Plan, clock: Clock) -> Iterator[Injection]:
    """Hold the hooks of `plan` on `unet` for the length of a `with` block.

    The UNet is as it was when the block ends, however it ends.
    """
    injection = Injection(plan, clock)
    try:
        injection.attach(unet, layers)
        yield injection
    finally:
        injection.detach()


def remove_hooks(unet: nn.Module) -> None:
    """Remove every hook of ours from `unet`; nothing happens where there is none."""
    for handle in getattr(unet, _MARK, ()):
        handle.remove()
    if hasattr(unet, _MARK):
        delattr(unet, _MARK)
