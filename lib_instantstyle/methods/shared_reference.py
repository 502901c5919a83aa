"""The common base of StyleAligned and swap: pictures that attend to a reference.

Before each evaluation of the model the features of the reference at that sigma are captured, and
used in the evaluation. How it comes to that sigma is chosen: it is inverted once in each pass, or
noise is added to it. If no reference is given, the first picture of each batch is the reference,
and its features are those of its own rows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.model_calls import Change, ModelCall, around_model_calls
from lib_instantstyle.methods.base import Pass
from lib_instantstyle.methods.reference_noise import FIXED_LEVEL, NoisedReference
from lib_instantstyle.methods.self_attention import (
    AttentionContext,
    AttentionPart,
    ReportingDenoiser,
    trajectories,
)
from lib_instantstyle.methods.shared_features import Captured, FirstOfBatch, SharedFeatures
from lib_instantstyle.unet.group_norms import NormHooks, norm_hooks
from lib_instantstyle.unet.inversion import Trajectory, ddim_timesteps, sampler_schedule, state_at
from lib_instantstyle.unet.progress import acts
from lib_instantstyle.unet.rows import image_of, rows_of_first_image
from lib_instantstyle.unet.self_attention import PARTS, AttentionCallback
from lib_instantstyle.units.choices import FIXED, FRESH, INVERSION, SAME
from lib_instantstyle.units.unit import Unit

_FEWEST = 2  # steps of an inversion
_STATUS = (
    "{} needs no adapter and no image encoder: the picture attends to the reference {}. The "
    "reference {}. Without a reference the first picture of a batch is it."
)
_NOISE = {
    INVERSION: "first goes back to its noise, which takes a while",
    SAME: "gets noise from the seed",
    FRESH: "gets new noise in each step",
    FIXED: "gets a little noise and is looked at once",
}


def status(unit: Unit, title: str, attends: str) -> str:
    """The status line of a method that is called `title`."""
    return _STATUS.format(title, attends, _NOISE[unit.reference_noise])


FeaturesAt = Callable[[float], SharedFeatures]
"""From a sigma to the reference's features at it."""


class SharedReference(AttentionPart):
    """See AttentionPart.

    parts: which of queries, keys and values are captured of the reference. shares_norms: whether
    its group norms are shared too.
    """

    parts: Collection[str] = PARTS
    shares_norms = False
    latent_size = (0, 0)  # height and width of the latents in the UNet call under way
    rows_outside: Sequence[int] = ()  # the images of the rows of a call outside the sampling
    _per_image = False  # whether each image of the batch has a noised reference of its own

    @abstractmethod
    def callback(
        self, reference: SharedFeatures, attention: AttentionContext, current: Pass
    ) -> AttentionCallback:
        """The callback that uses `reference` in one evaluation of the model."""

    def begin(self, attention: AttentionContext, context: Context) -> None:
        """Called before the sampling."""

    def guidance(
        self,
        reference: SharedFeatures,
        attention: AttentionContext,
        state: torch.Tensor,
        sigma: float,
    ) -> Change | None:
        """A change of the pictures that the evaluation of `state` [B, 4, h, w] predicts, in place
        of attention to the reference in the evaluation itself; None where there is none."""
        return None

    def change(self, sigma: float) -> Change | None:
        """A change of the pictures predicted by the evaluation at `sigma`, or None."""
        return None

    @property
    def tells_images_apart(self) -> bool:  # type: ignore[override]
        return self.picture is None or self._per_image

    def captured_parts(self, attention: AttentionContext) -> Callable[[int], Collection[str]]:
        """Which parts of the reference are captured in the layer with a number."""
        return lambda number: self.parts

    def before_sample(self, p: Any) -> None:
        super().before_sample(p)
        with_noise = self.picture is not None and self.unit.reference_noise != INVERSION
        self._per_image = with_noise and len(p.seeds) > 1

    def size(self, p: Any) -> tuple[int, int]:
        return p.width // 8 * 8, p.height // 8 * 8

    @contextmanager
    def around_sampling(self, p: Any, current: Pass) -> Iterator[None]:
        with ExitStack() as stack:
            attention = stack.enter_context(self.hooks_installed(p, current))
            norms = stack.enter_context(norm_hooks(current.unet)) if self.shares_norms else None
            self.begin(attention, current.context)
            features_at = self._features(p, attention, norms, current)

            def enter(call: ModelCall, exits: ExitStack) -> Change | None:
                if not acts(self.unit.start, self.unit.end, call.fraction):
                    return None
                sigma = call.sigma
                reference = features_at(sigma)
                if norms:
                    exits.enter_context(norms.sharing(reference.moments))
                guided = self.guidance(reference, attention, call.state, sigma)
                if guided is None:
                    acting = self.callback(reference, attention, current)
                    exits.enter_context(attention.hooks.acting(acting, self._see_latents))
                return guided or self.change(sigma)

            with torch.no_grad(), around_model_calls(p, current.fraction, attention.sigmas, enter):
                yield

    def _features(
        self, p: Any, attention: AttentionContext, norms: NormHooks | None, current: Pass
    ) -> FeaturesAt:
        if self.picture is None:
            return lambda sigma: FirstOfBatch(lambda: self._first_rows(current))
        wanted = self.captured_parts(attention)
        rows = (lambda: self._images(current)) if self._per_image else None

        def captured(state: torch.Tensor, sigma: float) -> SharedFeatures:
            with ExitStack() as capturing:
                features = capturing.enter_context(attention.hooks.capturing(wanted))
                moments = capturing.enter_context(norms.capturing()) if norms else None
                attention.unconditional(state, sigma)
            return Captured(features, moments, rows)

        kind = self.unit.reference_noise
        if kind == INVERSION:
            # Inverted at the first evaluation in which the unit acts.
            states = cache(lambda: self._trajectory(p, attention))
            return lambda sigma: captured(state_at(states(), sigma), sigma)
        noised = NoisedReference(self.reference, p.seeds, fresh=kind == FRESH)
        if kind == FIXED:
            level = attention.sigmas[FIXED_LEVEL]
            once = cache(lambda: captured(noised.at(level), level))
            return lambda sigma: once()
        return lambda sigma: captured(noised.at(sigma), sigma)

    def _see_latents(self, latents: torch.Tensor) -> None:
        height, width = latents.shape[-2:]
        self.latent_size = height, width

    def _images(self, current: Pass) -> Sequence[int]:
        """The image of each row of the UNet call."""
        return self.rows_outside or [image_of(code) for code in current.rows or ()]

    def _first_rows(self, current: Pass) -> Sequence[int]:
        rows = rows_of_first_image(current.rows or ())
        if not rows:
            raise InstantStyleError(
                f"{self.unit.method} without a reference takes the first picture of the batch, "
                "and a call of the UNet lacks it, because of AND in a prompt or of another "
                "extension; give a reference, or switch that off."
            )
        return rows

    def _trajectory(self, p: Any, attention: AttentionContext) -> Trajectory:
        """The reference's states [1, 4, h, w] at DDIM's sigmas, whatever the sampler's are."""
        steps = max(self.unit.steps_of_inversion or p.steps, _FEWEST)
        schedule = sampler_schedule([attention.sigmas[t] for t in ddim_timesteps(steps)])
        denoiser = ReportingDenoiser(
            attention.unconditional, "InstantStyle: inverting the reference", len(schedule.up)
        )
        checkpoint = attention.diffusion.checkpoint
        states = trajectories().trajectory(self.reference, schedule, checkpoint, denoiser)
        return {0.0: self.reference, **states}
