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
from lib_instantstyle.unet.call_state import Rows
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.injection import Clock, Injection, UnetCall, remove_all_hooks
from lib_instantstyle.unet.inversion import Denoiser
from lib_instantstyle.unet.plan import Plan


class SamplingPass:
    """Context manager: the hooks are on the UNet inside it and nowhere else."""

    def __init__(
        self,
        plan: Plan,
        context: Context,
        steps: int,
        meter: EffectMeter | None = None,
        tells_images_apart: bool = False,
    ) -> None:
        """steps: that the pass executes. tells_images_apart: have `rows` name the image of each row
        even if the plan does not need it."""
        assert context.unet is not None
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
        with ExitStack() as stack:
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
    def why_nothing(self) -> str:
        """Why no layer received a term although some should have."""
        if self._injection.unknown_calls:
            return (
                "the style could not be applied, because another extension calls the UNet itself "
                "and does not say which rows are prompt; switch it off."
            )
        return (
            "the style could not be applied, because the UNet's cross-attention was never "
            "reached; a replaced UNet (such as TensorRT) cannot be styled, switch it off."
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
        unet = self.context.host.unet(self.context.p)
        if unet is not self._unet:
            self._follow(unet)
        self._clock.begin_step(params)

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
