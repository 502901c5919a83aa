"""DDIM and its inverse in terms of sigma (see pure/sigma_schedule.py)."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Mapping, Sequence

import torch

from lib_instantstyle.pure.sigma_schedule import SigmaStep, latent_scale

Denoiser = Callable[[torch.Tensor, float], torch.Tensor]
"""The noise [B, 4, h, w] that the UNet sees in a latent [B, 4, h, w] at a sigma."""

Trajectory = Mapping[float, torch.Tensor]
"""The states [1, 4, h, w] of one picture, by their sigma."""


def move(x: torch.Tensor, noise: torch.Tensor, step: SigmaStep) -> torch.Tensor:
    """One step of DDIM without added noise, or of its inverse."""
    return x + (step.end - step.start) * noise


def invert(
    latent: torch.Tensor, steps: Sequence[SigmaStep], denoiser: Denoiser, keep: Collection[float]
) -> dict[float, torch.Tensor]:
    """The trajectory from a picture's latent to noise: its states at the sigmas to `keep`.

    latent: [1, 4, h, w] as the autoencoder gives it, in the scale of the timesteps.
    """
    x = latent * latent_scale(steps[0].start)
    states = {steps[0].start: x} if steps[0].start in keep else {}
    for step in steps:
        x = move(x, denoiser(x, step.at), step)
        if step.end in keep:
            states[step.end] = x
    return states


def state_at(trajectory: Trajectory, sigma: float) -> torch.Tensor:
    """The state at any sigma: between two known ones, or beyond the last, on their line.

    Between two states a trajectory is a line, for that is how a step is made.
    """
    known = sorted(trajectory)
    above = min(bisect(known, sigma), len(known) - 1)
    low, high = known[above - 1], known[above]
    share = (sigma - low) / (high - low)
    return torch.lerp(trajectory[low], trajectory[high], share)
