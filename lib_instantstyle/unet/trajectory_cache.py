"""Trajectories kept, so that a picture is inverted once and not for every generation."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

import torch

from lib_instantstyle.unet.inversion import Denoiser, Schedule, Trajectory, invert

CACHE_LIMIT = 256 * 1024 * 1024  # bytes; a picture of 512 x 512 with 50 steps takes 3.3 MB
_TOLERANCE = 2e-3  # half precision may differ by so much from call to call


@dataclass(frozen=True)
class _Entry:
    states: Trajectory
    probe_latent: torch.Tensor  # the state half-way up
    probe_noise: torch.Tensor  # and the noise in it

    @property
    def size(self) -> int:
        tensors = (self.probe_latent, self.probe_noise, *self.states.values())
        return sum(x.numel() * x.element_size() for x in tensors)


class TrajectoryCache:
    """The trajectories used last, in main memory."""

    def __init__(self, limit: int = CACHE_LIMIT) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes in use."""
        return sum(entry.size for entry in self._entries.values())

    def trajectory(
        self, latent: torch.Tensor, schedule: Schedule, checkpoint: Hashable, denoiser: Denoiser
    ) -> Trajectory:
        """The inversion of `latent` [1, 4, h, w] on the way up of `schedule`.

        checkpoint: what tells the model apart, as far as it is known by name. What is not, such
        as a LoRA or a changed setting, shows in the noise half-way up, which is asked for each
        time and compared.
        """
        sigma = schedule.up[len(schedule.up) // 2].at
        key = (_digest(latent), schedule, checkpoint)
        found = self._entries.get(key)
        if found is not None:
            noise = denoiser(found.probe_latent.to(latent.device), sigma).cpu()
            if (found.probe_noise - noise).norm() > _TOLERANCE * found.probe_noise.norm():
                found = None
        if found is None:
            found = self._entries[key] = _inverted(latent, schedule, sigma, denoiser)
        self._entries.move_to_end(key)
        while self.size > self._limit and len(self._entries) > 1:
            self._entries.popitem(last=False)
        return {sigma: x.to(latent.device) for sigma, x in found.states.items()}

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


def _inverted(latent: torch.Tensor, schedule: Schedule, sigma: float, denoiser: Denoiser) -> _Entry:
    probe: list[torch.Tensor] = []

    def listening(x: torch.Tensor, current: float) -> torch.Tensor:
        noise = denoiser(x, current)
        if current == sigma:
            probe[:] = x.cpu(), noise.cpu()
        return noise

    states = invert(latent, schedule.up, listening, schedule.kept)
    return _Entry({sigma: x.cpu() for sigma, x in states.items()}, *probe)


def _digest(latent: torch.Tensor) -> str:
    return hashlib.sha256(latent.float().cpu().numpy().tobytes()).hexdigest()
