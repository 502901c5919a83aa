"""Trajectories seen before, so that a picture is inverted once and not for every generation."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

import torch

from lib_instantstyle.pure.trajectory import Walk
from lib_instantstyle.tensor.inversion import Denoiser, Trajectory, invert

LIMIT = 256 * 1024 * 1024  # bytes; a picture of 512 x 512 with 50 steps takes 3.3 MB
_TOLERANCE = 2e-3  # half precision may answer differently by so much from call to call


@dataclass(frozen=True)
class _Entry:
    states: Trajectory
    asked: torch.Tensor  # the state half-way up
    answer: torch.Tensor  # and the noise in it

    @property
    def size(self) -> int:
        tensors = (self.asked, self.answer, *self.states.values())
        return sum(x.numel() * x.element_size() for x in tensors)


class TrajectoryCache:
    """The trajectories used last, in main memory."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes in use."""
        return sum(entry.size for entry in self._entries.values())

    def trajectory(
        self, latent: torch.Tensor, walk: Walk, checkpoint: Hashable, denoiser: Denoiser
    ) -> Trajectory:
        """The inversion of `latent` [1, 4, h, w] on the way up of `walk`.

        checkpoint: what tells the model apart, as far as it is known by name. What is not, such
        as a LoRA or a changed setting, shows in the noise half-way up, which is asked for each
        time and compared.
        """
        level = walk.up[len(walk.up) // 2].at
        key = (_digest(latent), walk, checkpoint)
        found = self._entries.get(key)
        if found is not None:
            answer = denoiser(found.asked.to(latent.device), level).cpu()
            if (found.answer - answer).norm() > _TOLERANCE * found.answer.norm():
                found = None
        if found is None:
            found = self._entries[key] = _inverted(latent, walk, level, denoiser)
        self._entries.move_to_end(key)
        while self.size > self._limit and len(self._entries) > 1:
            self._entries.popitem(last=False)
        return {sigma: x.to(latent.device) for sigma, x in found.states.items()}

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


def _inverted(latent: torch.Tensor, walk: Walk, level: float, denoiser: Denoiser) -> _Entry:
    seen: list[torch.Tensor] = []

    def listening(x: torch.Tensor, sigma: float) -> torch.Tensor:
        noise = denoiser(x, sigma)
        if sigma == level:
            seen[:] = x.cpu(), noise.cpu()
        return noise

    states = invert(latent, walk.up, listening, walk.kept)
    return _Entry({sigma: x.cpu() for sigma, x in states.items()}, *seen)


def _digest(latent: torch.Tensor) -> str:
    return hashlib.sha256(latent.float().cpu().numpy().tobytes()).hexdigest()
