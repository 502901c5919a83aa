"""The common base of StyleAligned and swap: pictures that attend to a reference.

The reference is inverted once in each pass. Before each evaluation of the model its features at
that sigma are captured, and used in the evaluation. If no reference is given, the first picture of
each batch is the reference, and its features are those of its own rows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.model_calls import Change, around_model_calls
from lib_instantstyle.methods.base import Pass
from lib_instantstyle.methods.self_attention import (
    AttentionContext,
    AttentionPart,
    ReportingDenoiser,
    trajectories,
)
from lib_instantstyle.methods.shared_features import Captured, FirstOfBatch, SharedFeatures
from lib_instantstyle.unet.group_norms import NormHooks, norm_hooks
from lib_instantstyle.unet.inversion import Trajectory, ddim_timesteps, sampler_schedule, state_at
from lib_instantstyle.unet.rows import rows_of_first_image
from lib_instantstyle.unet.self_attention import PARTS, AttentionCallback
from lib_instantstyle.units.schedule import acts

_FEWEST = 2  # steps of an inversion
STATUS = (
    "{} needs no adapter and no image encoder: the picture attends to the reference {}. The "
    "reference first goes back to its noise, which takes a while. Without a reference the first "
    "picture of a batch is it."
)

FeaturesAt = Callable[[float], SharedFeatures]
"""From a sigma to the reference's features at it."""


class SharedReference(AttentionPart):
    """See AttentionPart.

    parts: which of queries, keys and values are captured of the reference. shares_norms: whether
    its group norms are shared too.
    """

    parts: Collection[str] = PARTS
    shares_norms = False

    @abstractmethod
    def callback(self, reference: SharedFeatures, attention: AttentionContext) -> AttentionCallback:
        """The callback that uses `reference` in one evaluation of the model."""

    def begin(self, attention: AttentionContext, context: Context) -> None:
        """Called before the sampling."""

    def change(self, sigma: float) -> Change | None:
        """A change of the pictures predicted by the evaluation at `sigma`, or None."""
        return None

    @property
    def tells_images_apart(self) -> bool:  # type: ignore[override]
        return self.picture is None

    def size(self, p: Any) -> tuple[int, int]:
        return p.width // 8 * 8, p.height // 8 * 8

    @contextmanager
    def around_sampling(self, p: Any, current: Pass) -> Iterator[None]:
        with ExitStack() as stack:
            attention = stack.enter_context(self.hooks_installed(p, current))
            norms = stack.enter_context(norm_hooks(current.unet)) if self.shares_norms else None
            self.begin(attention, current.context)
            features_at = self._features(p, attention, norms, current)

            def enter(sigma: float, fraction: float, exits: ExitStack) -> Change | None:
                if not acts(self.unit.start, self.unit.end, fraction):
                    return None
                reference = features_at(sigma)
                exits.enter_context(attention.hooks.acting(self.callback(reference, attention)))
                if norms:
                    exits.enter_context(norms.sharing(reference.moments))
                return self.change(sigma)

            with torch.no_grad(), around_model_calls(p, current.fraction, attention.sigmas, enter):
                yield

    def _features(
        self, p: Any, attention: AttentionContext, norms: NormHooks | None, current: Pass
    ) -> FeaturesAt:
        if self.picture is None:
            return lambda sigma: FirstOfBatch(lambda: self._first_rows(current))
        states: list[Trajectory] = []

        def captured(sigma: float) -> SharedFeatures:
            if not states:
                states.append(self._trajectory(p, attention))
            with ExitStack() as capturing:
                features = capturing.enter_context(attention.hooks.capturing(self.parts))
                moments = capturing.enter_context(norms.capturing()) if norms else None
                attention.unconditional(state_at(states[0], sigma), sigma)
            return Captured(features, moments)

        return captured

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
