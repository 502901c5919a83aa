"""Trajectories seen before, so that a picture is inverted once and not for every generation."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

import torch

from lib_instantstyle.pure.trajectory import Walk
from lib_instantstyle.tensor.inversion import Denoiser, Trajectory, entry, invert

LIMIT = 256 * 1024 * 1024  # bytes; a picture of 512 x 512 with 50 steps takes 3.3 MB
_TOLERANCE = 2e-3  # half precision may answer differently by so much from call to call


@dataclass(frozen=True)
class _Entry:
    first_noise: torch.Tensor
    states: Trajectory

    @property
    def size(self) -> int:
        return sum(x.numel() * x.element_size() for x in (self.first_noise, *self.states.values()))


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
        as a LoRA or a changed setting, shows in the answer to the first step, which is asked for
        each time and compared.
        """
        first = denoiser(entry(latent, walk.up), walk.up[0].at)
        key = (_digest(latent), walk, checkpoint)
        found = self._entries.get(key)
        if found is None or not _equal(found.first_noise, first):
            states = invert(latent, walk.up, denoiser, walk.kept, first)
            found = _Entry(first.cpu(), {sigma: x.cpu() for sigma, x in states.items()})
            self._entries[key] = found
        self._entries.move_to_end(key)
        while self.size > self._limit and len(self._entries) > 1:
            self._entries.popitem(last=False)
        return {sigma: x.to(latent.device) for sigma, x in found.states.items()}

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


def _equal(known: torch.Tensor, now: torch.Tensor) -> bool:
    difference = (known - now.cpu()).norm()
    return bool(difference <= _TOLERANCE * known.norm())


def _digest(latent: torch.Tensor) -> str:
    return hashlib.sha256(latent.float().cpu().numpy().tobytes()).hexdigest()
