"""What the methods on self-attention have in common: StyleID, StyleAligned, swapping."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from lib_instantstyle.hosts.diffusion import announce
from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.pure.infotext import KEY, unit_to_text
from lib_instantstyle.pure.units import Unit
from lib_instantstyle.tensor.inversion import Denoiser
from lib_instantstyle.tensor.pictures import Picture
from lib_instantstyle.tensor.trajectory_cache import TrajectoryCache
from lib_instantstyle.webui.unit_pictures import HASH_LENGTH

trajectories = TrajectoryCache()


class AttentionMethod(ABC):
    """One unit in one generation; it hangs on `p` with the rest of the run."""

    def __init__(self, unit: Unit, picture: Picture, comments: Sequence[str]) -> None:
        self.unit = unit
        self.picture = picture
        self.comments = comments  # what the user should be told beside the picture
        self.replaced = 0  # how often something in the UNet was replaced

    @property
    def infotext(self) -> dict[str, str]:
        digest = self.picture.sha256[:HASH_LENGTH]
        return {KEY.format(self.unit.number): unit_to_text(self.unit, {"image": digest})}

    def listen(self, p: Any) -> None:  # noqa: B027  # most have nothing to hear
        """See what the next `p.init` makes of the picture to change."""

    @abstractmethod
    def encode(self, p: Any) -> None:
        """Encode the reference and the empty prompt; before the UNet is needed."""

    @abstractmethod
    def holding(
        self, p: Any, unet: torch.nn.Module, steps: int, aside: Callable[[Denoiser], Denoiser]
    ) -> AbstractContextManager[None]:
        """Replace what flows through self-attention while the sampler runs in this block.

        steps: that this pass executes. aside: makes a denoiser one whose UNet calls are no part
        of the sampling.
        """


@dataclass
class Told:
    """A denoiser that says how far the inversion has come."""

    denoiser: Denoiser
    text: str
    steps: int
    done: int = 0

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        self.done += 1
        announce(f"{self.text}, {self.done} of {self.steps}")
        return self.denoiser(x, sigma)


def check_method(unit: Unit, p: Any, unet: torch.nn.Module) -> None:
    """Raise InstantStyleError for what none of these methods can do."""
    problem = None
    if unit.crop not in ("center", "stretch"):
        problem = (
            f"crop is {shorten(unit.crop)}; for {unit.method} one of 'center', 'stretch' is allowed"
        )
    elif len(unit.image) > 1:
        problem = f"image has {len(unit.image)} pictures; {unit.method} takes one"
    elif unet.get_parameter("input_blocks.0.0.weight").shape[1] != 4:
        problem = (
            f"{unit.method} cannot use an inpainting checkpoint; choose one for whole pictures"
        )
    elif p.get_token_merging_ratio():
        problem = f"{unit.method} cannot do with token merging; set its ratio to 0"
    elif getattr(p, "refiner_checkpoint_info", None) is not None:
        problem = f"{unit.method} cannot change the checkpoint on its way; switch the refiner off"
    if problem:
        raise InstantStyleError(f"{problem}.")
