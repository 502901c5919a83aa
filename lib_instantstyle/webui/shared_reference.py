"""StyleAligned and swapped self-attention in one generation.

The reference is inverted once in each pass; before each evaluation of the model its features at
that level are captured, and placed in the evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from lib_instantstyle.hosts.diffusion import announce, diffusion_of
from lib_instantstyle.hosts.model_calls import around_model_calls
from lib_instantstyle.pure.schedule import acts
from lib_instantstyle.pure.trajectory import along, ddim_timesteps
from lib_instantstyle.pure.units import SWAP, Unit
from lib_instantstyle.tensor.inversion import Denoiser, Trajectory, state_at
from lib_instantstyle.tensor.pictures import Picture
from lib_instantstyle.tensor.pixels import to_pixels
from lib_instantstyle.tensor.self_attention import (
    KEY,
    PARTS,
    VALUE,
    Act,
    Features,
    SelfAttention,
    find_self_attention,
    self_attention_hooks,
)
from lib_instantstyle.tensor.shared_attention import (
    SHARED_BLOCKS,
    SWAPPED_BLOCKS,
    Sharing,
    StyleAligned,
    Swapped,
)
from lib_instantstyle.webui.attention_method import AttentionMethod, Told, trajectories

_FEWEST = 2  # steps of an inversion


class SharedReference(AttentionMethod):
    """See AttentionMethod."""

    def __init__(self, unit: Unit, picture: Picture, comments: Sequence[str]) -> None:
        super().__init__(unit, picture, comments)
        self._reference = torch.empty(0)
        self._empty_prompt: Any = None

    def encode(self, p: Any) -> None:
        diffusion = diffusion_of(p)
        width, height = (side // 8 * 8 for side in (p.width, p.height))
        pixels = to_pixels(self.picture.image, width, height, self.unit.crop)
        self._reference = diffusion.encode(pixels)
        self._empty_prompt = diffusion.empty_prompt(width, height)

    @contextmanager
    def holding(
        self, p: Any, unet: torch.nn.Module, steps: int, aside: Callable[[Denoiser], Denoiser]
    ) -> Iterator[None]:
        diffusion = diffusion_of(p)
        asking = aside(diffusion.asking(self._empty_prompt))
        sigmas = diffusion.sigmas()
        blocks = SWAPPED_BLOCKS if self.unit.method == SWAP else SHARED_BLOCKS
        layers = find_self_attention(unet, blocks)
        found: list[Trajectory] = []

        with self_attention_hooks(unet, layers) as hooks:

            def enter(sigma: float, fraction: float, exits: ExitStack) -> None:
                if not acts(self.unit.start, self.unit.end, fraction):
                    return
                if not found:
                    found.append(self._trajectory(p, sigmas, diffusion.checkpoint, asking))
                with hooks.capturing(
                    (KEY, VALUE) if blocks is SWAPPED_BLOCKS else PARTS
                ) as features:
                    asking(state_at(found[0], sigma), sigma)
                exits.enter_context(hooks.acting(self._act(features, layers)))

            try:
                with torch.no_grad(), around_model_calls(p, steps, sigmas, enter):
                    yield
            finally:
                announce("")
                self.replaced += hooks.replaced

    def _act(self, features: Features, layers: Sequence[SelfAttention]) -> Act:
        if self.unit.method == SWAP:
            return Swapped(features).act
        unit = self.unit
        sharing = Sharing(unit.shared_scale, unit.shared_shift, unit.adain)
        return StyleAligned(features, [layer.heads for layer in layers], sharing).act

    def _trajectory(
        self, p: Any, sigmas: Sequence[float], checkpoint: str, asking: Denoiser
    ) -> Trajectory:
        """The reference's states at DDIM's levels, whatever the sampler's are."""
        steps = max(self.unit.steps_of_inversion or p.steps, _FEWEST)
        walk = along([sigmas[t] for t in ddim_timesteps(steps)])
        told = Told(asking, "InstantStyle: inverting the reference", len(walk.up))
        states = trajectories.trajectory(self._reference, walk, checkpoint, told)
        return {0.0: self._reference, **states}
