"""The hook pair that puts image attention into a live UNet, and takes itself out again.

An IP-Adapter adds one term to a cross-attention: `to_out(text_attention + weight *
softmax(q K^T / sqrt(d)) V)`. A forward hook on `to_q` sees q; a forward pre-hook on `to_out[0]`
adds the term to its input. The WebUI's own attention, whatever it is, runs untouched between the
two. (`to_out` as a whole would not do: some optimisations call `to_out[0]` past it.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.attention_hook import LayerHook
from lib_instantstyle.unet.auto_weight import AutoWeight
from lib_instantstyle.unet.call_state import CallState, Rows
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.lora_hook import LoraHook, lora_hooks
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.unet.purify import DampedBanks
from lib_instantstyle.unet.reach import Reach

_OURS = "_instantstyle_"  # every mark begins so
_MARK = "_instantstyle_handles"


@dataclass(frozen=True)
class UnetCall:
    """What can be seen of a UNet call from outside."""

    rows: int  # B
    context: torch.Tensor | None  # [B, L, C], the prompts' tokens
    options: Mapping[str, Any]  # transformer_options, where the WebUI sends them


@dataclass(frozen=True)
class Clock:
    """What a UNet call is told: which rows it has, and how far the pass has come.

    rows: the codes of the rows of a call, or None for a call that is no part of the denoising and
    gets nothing. fraction: completed share of the pass. steps: that the pass executes.
    rows_of_part: the codes of the rows of a layer that another extension calls with a part of the
    rows or with more; it is given what the layer attends to, the codes by counting, and those of
    the whole call. latent: height and width of the whole latent, where it is known.
    """

    rows: Callable[[UnetCall], Rows | None]
    fraction: Callable[[], float]
    steps: int = 1
    rows_of_part: Callable[[torch.Tensor | None, Rows, Rows], Rows] | None = None
    latent: Callable[[], tuple[int, int] | None] = lambda: None


class Injection:
    """A plan on a UNet. The code that makes one must detach it, also after an error."""

    def __init__(self, plan: Plan, clock: Clock, meter: EffectMeter | None = None) -> None:
        self._plan = plan
        self._clock = clock
        self.auto = {unit: AutoWeight(target) for unit, target in plan.targets.items()}
        self._call = CallState(rows_of_part=clock.rows_of_part, meter=meter, auto=self.auto)
        self._call.spares_first = plan.spares_first
        purifies = plan.purifies
        self._damped = DampedBanks(purifies) if purifies else None
        self._masked = any(term.mask is not None for term in plan.terms)
        self._hooks: list[LayerHook | LoraHook] = []  # on this UNet, and on those before it
        self._attached: list[LayerHook | LoraHook] = []  # on this UNet
        self.due_calls = 0  # UNet calls in which some term should act
        self.unet: nn.Module | None = None
        self.unknown_calls = 0  # UNet calls whose rows nobody announced

    @property
    def acted(self) -> set[int]:
        """The units whose terms were added somewhere."""
        return self._call.acted

    @property
    def fired(self) -> int:
        """How often a layer received a term."""
        return sum(hook.fired for hook in self._hooks)

    @property
    def reaches(self) -> list[Reach]:
        """Of every layer that has a term, how often it was reached."""
        return [hook.reach for hook in self._hooks]

    def attach(self, unet: nn.Module, layers: UnetLayers) -> None:
        """Put the hooks on `unet`, and off the UNet they stood on before.

        Only layers that have a term get a hook. Hooks that an earlier run left on the UNet are
        removed first.
        """
        self.detach()
        handles = begin_hooks(unet, _MARK)
        self.unet = unet
        handles.append(unet.register_forward_pre_hook(self._before_unet, with_kwargs=True))
        # LoRAs first: the queries that image attention sees have them in.
        loras = self._plan.loras
        for module, lora_hook in lora_hooks(unet, loras, self._call) if loras else ():
            self._attached.append(lora_hook)
            handles.append(module.register_forward_hook(lora_hook))
        for number, found in layers.by_number.items():
            terms = [term for term in self._plan.terms if term.layer.number == number]
            if not terms:
                continue
            hook = LayerHook(found, terms, self._call)
            self._attached.append(hook)
            handles.extend(hook.attach())
        self._hooks += self._attached

    def detach(self) -> None:
        """Take the hooks off; the UNet is then as it was."""
        if self.unet is not None:
            remove_hooks(self.unet)
            self.unet = None
            self._attached = []

    def _before_unet(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        x = args[0] if args else kwargs.get("x", kwargs.get("sample"))
        context = kwargs.get("context", kwargs.get("encoder_hidden_states"))
        if context is None and len(args) > 2:
            context = args[2]
        options = kwargs.get("transformer_options") or {}
        call = self._call
        call.serial += 1
        call.rows = self._clock.rows(UnetCall(len(x), context, options)) if x is not None else None
        if call.rows is None:
            self.unknown_calls += 1
            return
        fraction, steps = self._clock.fraction(), self._clock.steps
        call.strengths = self._plan.strengths(fraction, steps)
        if not call.strengths:
            call.rows = None  # the layers need not even look
            return
        self.due_calls += 1
        for hook in self._attached:
            hook.reach.expect(call.strengths)
        if self._damped is not None:
            call.damped = self._damped.at(fraction + 1 / max(1, steps))
        if self._masked and x is not None:
            call.latent = self._latent(x)

    def _latent(self, x: torch.Tensor) -> tuple[int, int]:
        height, width = x.shape[-2:]
        whole = self._clock.latent()
        if whole is not None and whole != (height, width):
            raise InstantStyleError(
                f"mask cannot be used: another extension calls the UNet with tiles of {width} x "
                f"{height} cells instead of the whole picture; switch it off, or use no mask."
            )
        return height, width


def remove_hooks(unet: nn.Module) -> None:
    """Remove every hook of ours from `unet`; nothing happens where there is none."""
    remove_hooks_of(unet, _MARK)


def begin_hooks(module: nn.Module, mark: str) -> list[Any]:
    """An empty list for the handles of hooks, after those that `mark` still names are removed."""
    remove_hooks_of(module, mark)
    handles: list[Any] = []
    setattr(module, mark, handles)
    return handles


def remove_hooks_of(module: nn.Module, mark: str) -> None:
    """Remove the hooks whose handles `module` holds as `mark`; without any nothing happens."""
    for handle in getattr(module, mark, ()):
        handle.remove()
    if hasattr(module, mark):
        delattr(module, mark)


def remove_all_hooks(module: nn.Module) -> None:
    """Remove the hooks of every mark from `module`; without any nothing happens."""
    for mark in [name for name in vars(module) if name.startswith(_OURS)]:
        remove_hooks_of(module, mark)
