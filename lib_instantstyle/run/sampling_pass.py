"""One run of the sampler with the hooks on the UNet: the first pass, or hires fix's second."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.denoiser import DenoiserClock
from lib_instantstyle.stages import HOOKS
from lib_instantstyle.unet.call_state import Rows
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.injection import Clock, Injection, UnetCall, remove_all_hooks
from lib_instantstyle.unet.inversion import Denoiser
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.unet.reach import (
    eager,
    listed,
    never_reached,
    refuse_compiled,
    seldom_reached,
)


class SamplingPass:
    """Context manager: the hooks are on the UNet inside it and nowhere else."""

    def __init__(
        self,
        plan: Plan,
        context: Context,
        steps: int,
        meter: EffectMeter | None = None,
        tells_images_apart: bool = False,
        is_hires: bool = False,
    ) -> None:
        """steps: that the pass executes. tells_images_apart: have `rows` name the image of each row
        even if the plan does not need it. is_hires: whether it is hires fix's second pass."""
        assert context.unet is not None
        self.is_hires = is_hires
        self.name = "hires fix's second pass" if is_hires else "the sampling"
        self._plan = plan
        self.spares_first = plan.spares_first
        self.steps = steps
        self._due_steps = 0  # evaluations of the denoiser in which some term should act
        self.expected = plan.acting_units(steps)  # units of which some term should act
        self.context = context
        self.unet = context.unet
        self._unet: nn.Module = context.unet  # the one that the hooks are on now
        self.rows: Rows | None = None  # codes of the rows of the UNet call under way
        self.failure: Exception | None = None  # of `begin_step`; the next UNet call raises it
        self._clock = DenoiserClock(
            steps, context.notify, tells_images_apart or plan.tells_images_apart
        )
        clock = Clock(
            self._rows,
            self._clock.fraction,
            steps,
            self._clock.rows_of_part,
            self._clock.latent,
        )
        self._injection = Injection(plan, clock, meter)
        self._exits = ExitStack()

    def __enter__(self) -> SamplingPass:
        refuse_compiled(self._is_compiled)
        with ExitStack() as stack:
            with HOOKS:
                stack.enter_context(eager())
                stack.callback(self._injection.detach)
                self._injection.attach(self._unet, self.context.known_layers)
                stack.enter_context(
                    self._clock.progress.watching(getattr(self.context.p, "sampler", None))
                )
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.__exit__(kind, error, trace)

    def fraction(self, denoiser: Any, level: torch.Tensor) -> float:
        """See Pass."""
        return self._clock.progress.fraction(denoiser, level)

    def clear(self) -> None:
        """Remove all hooks, in case leaving the context failed half-way."""
        remove_all_hooks(self._unet)

    @property
    def acted(self) -> set[int]:
        """The units of which a layer received a term."""
        return self._injection.acted

    def found_weights(self) -> dict[int, float]:
        """By unit, the factor of its weight that auto_weight has found."""
        found = {unit: auto.found() for unit, auto in self._injection.auto.items()}
        return {unit: factor for unit, factor in found.items() if factor is not None}

    @property
    def problem(self) -> str:
        """Why some layer received no term although it should have; "" if each has in some call."""
        missed = never_reached(self._injection.reaches)
        is_silent = self.expected and self._due_steps and not self._injection.due_calls
        return self.why_nothing if missed or is_silent else ""

    @property
    def why_nothing(self) -> str:
        """Why layers received no term, where that is so."""
        reaches, calls = self._injection.reaches, self._injection.due_calls
        missed = never_reached(reaches)
        if self._injection.unknown_calls and not calls:
            return (
                "the style could not be applied, because another extension calls the UNet itself "
                "and does not say which rows are prompt; switch it off."
            )
        what = "the UNet's cross-attention was"
        cause = "a replaced UNet (such as TensorRT) cannot be styled, switch it off."
        if len(missed) not in (0, len(reaches)):
            what = f"{listed(missed)} {'was' if len(missed) == 1 else 'were'}"
            cause = "another extension replaces or leaves out layers of the UNet; switch it off."
        if self._is_compiled():
            cause = "torch.compile has changed this UNet; switch it off."
        return (
            f"the style could not be applied, because in {self.name} {what} never reached; {cause}"
        )

    def _is_compiled(self) -> bool:
        return self.context.host.is_compiled(self.context.p)

    @property
    def remark(self) -> str:
        """A sentence where a layer received its terms in some of the UNet calls only; else ""."""
        seldom = seldom_reached(self._injection.reaches)
        calls = self._injection.due_calls
        if calls < self._due_steps:
            return (
                f"in {self.name} the UNet was called in {calls} of {self._due_steps} evaluations, "
                "because another extension leaves some out; the style is weaker for it."
            )
        if not seldom:
            return ""
        least = min(seldom, key=lambda reach: reach.done / reach.due)
        layers = listed(list(dict.fromkeys(reach.layer for reach in seldom)))
        return (
            f"in {self.name} another extension left out {layers} now and then (the style acted in "
            f"{least.done} of {least.due} UNet calls); it is weaker for it."
        )

    def outside_sampling(self, denoiser: Denoiser) -> Denoiser:
        """`denoiser` with UNet calls that get no term and whose rows are not counted."""

        def outside(x: torch.Tensor, sigma: float) -> torch.Tensor:
            self._clock.paused = True
            try:
                return denoiser(x, sigma)
            finally:
                self._clock.paused = False

        return outside

    def _rows(self, call: UnetCall) -> Rows | None:
        if isinstance(self.failure, InstantStyleError):
            raise self.failure
        if self.failure is not None:
            raise InstantStyleError(
                f"a step could not be styled ({type(self.failure).__name__}: {self.failure})."
            ) from self.failure
        self.rows = self._clock.rows(call)
        return self.rows

    def begin_step(self, params: Any) -> None:
        """The denoiser is about to evaluate a step."""
        if self._clock.paused:  # an evaluation beside the sampler's
            return
        unet = self.context.host.unet(self.context.p)
        if unet is not self._unet:
            self._follow(unet)
        self._clock.begin_step(params)
        if self._injection.unet is not None:  # not after a refiner with other blocks took over
            self._due_steps += bool(self._plan.strengths(self._clock.fraction(), self.steps))

    def _follow(self, unet: nn.Module) -> None:
        """Put the hooks on `unet`, with which the refiner has taken over."""
        self._unet = unet
        try:
            layers = self.context.with_unet(self.context.p, unet).known_layers
        except InstantStyleError:
            layers = None
        if layers is not None and layers.signature == self.context.known_layers.signature:
            self._injection.attach(unet, layers)
        else:
            self._injection.detach()
            self.context.notify("the refiner has other blocks; its steps stay without style.")
