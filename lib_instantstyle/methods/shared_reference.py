"""StyleAligned and swapped self-attention in one generation.

The reference is inverted once in each pass; before each evaluation of the model its features at
that level are captured, and placed in the evaluation. Without a reference the first picture of
each batch is it, and its features are those of its own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.model_calls import Change, around_model_calls
from lib_instantstyle.methods import STYLE_ALIGNED, SWAP
from lib_instantstyle.methods.self_attention import (
    FIRST_OF_BATCH,
    AttentionMethod,
    Pass,
    Scene,
    Told,
    trajectories,
)
from lib_instantstyle.methods.shared_features import (
    Captured,
    ColourCalibration,
    FirstOfBatch,
    SharedFeatures,
    Sharing,
    StyleAligned,
    Swapped,
)
from lib_instantstyle.references.unit_pictures import NoReference
from lib_instantstyle.unet.group_norms import NormHooks, norm_hooks
from lib_instantstyle.unet.inversion import (
    Trajectory,
    adain,
    ddim_timesteps,
    sampler_schedule,
    state_at,
)
from lib_instantstyle.unet.rows import rows_of_first_image
from lib_instantstyle.unet.self_attention import PARTS, TO_K, TO_V, AttentionCallback
from lib_instantstyle.units.schedule import acts
from lib_instantstyle.units.unit import NO_REFERENCE, Unit

_FEWEST = 2  # steps of an inversion
OTHERS_ATTEND = (
    "InstantStyle: stylealigned computes self-attention, and so does another script (ControlNet's "
    "reference-only is one); in the layers of stylealigned the other one does not act."
)


class SharedReference(AttentionMethod):
    """See AttentionMethod. The reference is a picture."""

    def size(self, p: Any) -> tuple[int, int]:
        return p.width // 8 * 8, p.height // 8 * 8

    @contextmanager
    def holding(self, p: Any, unet: torch.nn.Module, steps: int, current: Pass) -> Iterator[None]:
        with ExitStack() as stack:
            scene = stack.enter_context(self.standing(p, unet, current))
            norms = stack.enter_context(norm_hooks(unet)) if self._shares_norms else None
            if self.unit.method == STYLE_ALIGNED.name and scene.diffusion.others_attend:
                p.comment(OTHERS_ATTEND)
            references = self._references(p, scene, norms, current)
            calibration = ColourCalibration(scene.sigmas)

            def enter(sigma: float, fraction: float, exits: ExitStack) -> Change | None:
                if not acts(self.unit.start, self.unit.end, fraction):
                    return None
                reference = references(sigma)
                exits.enter_context(scene.hooks.acting(self._act(reference, scene)))
                if norms:
                    exits.enter_context(norms.sharing(reference.moments))
                is_due = self._calibrates and calibration.is_due(sigma)
                return self._calibrated if is_due else None

            with torch.no_grad(), around_model_calls(p, steps, scene.sigmas, enter):
                yield

    @property
    def _shares_norms(self) -> bool:
        return bool(self.unit.shared_norms) and self.unit.method != SWAP.name

    @property
    def _calibrates(self) -> bool:
        return bool(self.unit.colour_calibration) and self.unit.method == SWAP.name

    def _calibrated(self, predicted: torch.Tensor) -> torch.Tensor:
        """The pictures [B, 4, h, w] with the colours of the reference."""
        return adain(predicted, self.reference.to(predicted), (2, 3))

    def _act(self, reference: SharedFeatures, scene: Scene) -> AttentionCallback:
        if self.unit.method == SWAP.name:
            return Swapped(reference).act
        unit = self.unit
        sharing = Sharing(unit.shared_scale, unit.shared_shift, unit.adain)
        return StyleAligned(reference, [layer.heads for layer in scene.layers], sharing).act

    def _references(
        self, p: Any, scene: Scene, norms: NormHooks | None, current: Pass
    ) -> Callable[[float], SharedFeatures]:
        """Makes the reference at a level."""
        found: list[Trajectory] = []
        parts = (TO_K, TO_V) if self.unit.method == SWAP.name else PARTS

        def captured(sigma: float) -> SharedFeatures:
            if not found:
                found.append(self._trajectory(p, scene))
            with ExitStack() as capturing:
                features = capturing.enter_context(scene.hooks.capturing(parts))
                moments = capturing.enter_context(norms.capturing()) if norms else None
                scene.asking(state_at(found[0], sigma), sigma)
            return Captured(features, moments)

        return captured

    def _trajectory(self, p: Any, scene: Scene) -> Trajectory:
        """The reference's states at DDIM's levels, whatever the sampler's are."""
        steps = max(self.unit.steps_of_inversion or p.steps, _FEWEST)
        schedule = sampler_schedule([scene.sigmas[t] for t in ddim_timesteps(steps)])
        told = Told(scene.asking, "InstantStyle: inverting the reference", len(schedule.up))
        checkpoint = scene.diffusion.checkpoint
        states = trajectories.trajectory(self.reference, schedule, checkpoint, told)
        return {0.0: self.reference, **states}


class SharedBatch(SharedReference):
    """See AttentionMethod. The reference is the first picture of each batch."""

    tells_images_apart = True

    def _calibrated(self, predicted: torch.Tensor) -> torch.Tensor:
        return adain(predicted, predicted[:1], (2, 3))

    def _references(
        self, p: Any, scene: Scene, norms: NormHooks | None, current: Pass
    ) -> Callable[[float], SharedFeatures]:
        def rows() -> Sequence[int]:
            found = rows_of_first_image(current.rows or ())
            if not found:
                raise InstantStyleError(
                    f"{self.unit.method} without a reference takes the first picture of the batch, "
                    "and a call of the UNet lacks it, because of AND in a prompt or of another "
                    "extension; give a reference, or switch that off."
                )
            return found

        return lambda sigma: FirstOfBatch(rows)


def shared_batch(unit: Unit, p: Any) -> SharedBatch:
    """The method for `unit`, which has no reference; raises NoReference for a single picture."""
    if p.batch_size < 2:
        raise NoReference(NO_REFERENCE.format(unit.number))
    return SharedBatch(unit, None, [f"InstantStyle: unit {unit.number}: {FIRST_OF_BATCH}"])
