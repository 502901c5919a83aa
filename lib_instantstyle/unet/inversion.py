"""Sigma schedules without added noise: up from a picture to noise, and down to a picture.

A sigma is the standard deviation of the noise beside a latent of its full size. In these terms
DDIM without added noise is Euler's method, and its inverse is the same with rising sigmas.
`sqrt(1 + sigma^2)` leads from a latent as Stable Diffusion's timesteps scale it to these terms.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from PIL import Image, ImageOps

from lib_instantstyle.errors import InstantStyleError

TIMESTEPS = 1000  # of Stable Diffusion's training


@dataclass(frozen=True)
class SigmaStep:
    """From one sigma to the next; the UNet is called at the sigma `at`."""

    start: float
    end: float
    at: float


@dataclass(frozen=True)
class Schedule:
    """Up is the inversion, down the sampling; neither is empty.

    Where the two do not meet (`published_schedule`), the latent is taken over as it is, in the
    scale of the timesteps.
    """

    up: tuple[SigmaStep, ...]
    down: tuple[SigmaStep, ...]

    @property
    def kept(self) -> frozenset[float]:
        """The sigmas whose states the way down needs."""
        return frozenset({self.up[-1].end, *(step.at for step in self.down)})


def latent_scale(sigma: float) -> float:
    """How many times larger a latent is in terms of sigma than in those of the timesteps."""
    return math.sqrt(1 + sigma**2)


def ddim_timesteps(steps: int) -> list[int]:
    """The timesteps, rising, that DDIM and the WebUI take for a number of steps.

    They are as many as asked for only where `steps` divides 1000; else there are more.
    """
    return [min(t + 1, TIMESTEPS - 1) for t in range(0, TIMESTEPS, TIMESTEPS // steps)]


def exact_steps(most: int) -> list[int]:
    """The numbers of steps from 2 to `most` for which DDIM has exactly as many timesteps."""
    return [steps for steps in range(2, most + 1) if len(ddim_timesteps(steps)) == steps]


def sampler_schedule(sigmas: Sequence[float], inversion_steps: int = 0) -> Schedule:
    """A schedule over the sigmas of a sampler (all above 0), ending at 0 on both sides.

    The way down calls the UNet once at each sigma. So does the way up, the first time at the
    lowest sigma, because there is no noise to be found in a picture without any; with more
    `inversion_steps` than sigmas it divides every interval evenly, in the logarithm, into as many
    parts as reach that number.

    Raises InstantStyleError if the sigmas neither all rise nor all fall.
    """
    rising = sorted(sigmas)
    if not rising or rising[0] <= 0 or list(sigmas) not in (rising, rising[::-1]):
        raise InstantStyleError(
            "the noise levels of this sampler do not fall from step to step; choose DDIM or Euler."
        )
    parts = max(1, math.ceil(inversion_steps / len(rising)))
    up = [SigmaStep(0.0, rising[0], rising[0])]
    for low, high in pairwise(rising):
        points = [low * (high / low) ** (i / parts) for i in range(parts)] + [high]
        up += [SigmaStep(a, b, a) for a, b in pairwise(points)]
    down = [SigmaStep(high, low, high) for low, high in zip([0.0, *rising], rising)]
    return Schedule(tuple(up), tuple(reversed(down)))


def published_schedule(steps: int, sigmas: Sequence[float]) -> Schedule:
    """The schedule of the published StyleID code for a number of steps (its own is 50).

    The inversion takes the picture for the state at t = 1 and asks the UNet `steps` times, the
    last time to go from t = 981 to 999. Sampling begins with that state but treats it as one at
    t = 961, asks the UNet `steps - 1` times and ends at t = 0.
    Source: https://github.com/jiwoogit/StyleID, run_styleid.py with its default start_step.

    sigmas: those of the 1000 timesteps. Raises InstantStyleError for other numbers of steps
    than the divisors of 1000 from 2 on: their timesteps are not those of the code.
    """
    if steps < 2 or TIMESTEPS % steps:
        raise InstantStyleError(
            f"the published schedule of StyleID has no {steps} steps; a number that divides "
            f"{TIMESTEPS} is allowed, such as 20, 25, 40 or 50."
        )
    taken = [sigmas[t] for t in ddim_timesteps(steps)]
    up = [SigmaStep(a, b, a) for a, b in pairwise([*taken, sigmas[TIMESTEPS - 1]])]
    down = [SigmaStep(high, low, high) for low, high in zip([sigmas[0], *taken], taken[:-1])]
    return Schedule(tuple(up), tuple(reversed(down)))


# DDIM and its inverse in terms of sigma (see the top of this file).

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


# Adaptive instance normalisation: one tensor with the mean and deviation of another.

_SMALLEST = 1e-6  # a tensor without any variation is left without any, instead of not a number


def adain(
    content: torch.Tensor,
    style: torch.Tensor,
    dims: Sequence[int],
    added_variance: float = 0.0,
) -> torch.Tensor:
    """`content` moved and stretched to the mean and the standard deviation of `style`.

    Both statistics are taken over `dims` (the same in both; their lengths may differ), unbiased.
    For latents [B, C, h, w] dims are (2, 3), for tokens [B, N, h] they are (1,).
    added_variance: added to both variances, as StyleAligned does (1e-5).
    Source: Huang and Belongie, arXiv 1703.06868.
    """
    mean, deviation = _moments(content, dims, added_variance)
    style_mean, style_deviation = _moments(style, dims, added_variance)
    return (content - mean) / deviation.clamp_min(_SMALLEST) * style_deviation + style_mean


def _moments(
    x: torch.Tensor, dims: Sequence[int], added_variance: float
) -> tuple[torch.Tensor, torch.Tensor]:
    alone = all(x.shape[dim] == 1 for dim in dims)  # a single token has no deviation
    variance, mean = torch.var_mean(x, dim=list(dims), keepdim=True, correction=0 if alone else 1)
    return mean, (variance + added_variance).sqrt()


# A picture as pixels for a VAE.


def to_pixels(image: Image.Image, width: int, height: int, crop: str = "center") -> torch.Tensor:
    """An RGB picture of any size as [1, 3, height, width] in 0..1, resized with Lanczos.

    crop: "center" covers the size and cuts off what hangs over, "stretch" distorts.
    """
    size = (width, height)
    if crop == "stretch":
        resized = image.resize(size, Image.Resampling.LANCZOS)
    else:
        resized = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    array = np.asarray(resized, dtype=np.float32) / 255
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()
