"""DDIM inversion in terms of sigma: schedules, trajectories, and adaptive instance normalisation.

A sigma is the standard deviation of the noise that is added to an unscaled latent. In these terms
DDIM without added noise is Euler's method, and its inverse is the same with rising sigmas. Stable
Diffusion's timesteps scale a noisy latent down; `sqrt(1 + sigma^2)` times that is the latent here.
Source: Song et al. 2020, arXiv 2010.02502.
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
_SMALLEST = 1e-6  # deviation to divide by in a tensor of equal numbers, whose deviation is 0

Denoiser = Callable[[torch.Tensor, float], torch.Tensor]
"""From a latent [B, 4, h, w] and a sigma to the noise [B, 4, h, w] predicted in it."""

Trajectory = Mapping[float, torch.Tensor]
"""The states [1, 4, h, w] of one picture, by sigma."""


@dataclass(frozen=True)
class SigmaStep:
    """From one sigma to the next; the UNet is called at the sigma `at`."""

    start: float
    end: float
    at: float


@dataclass(frozen=True)
class Schedule:
    """The steps of the inversion (up) and of the sampling (down); neither is empty.

    If the last sigma up is not the first one down (`published_schedule`), the latent is taken over
    unchanged in the scale of the timesteps.
    """

    up: tuple[SigmaStep, ...]
    down: tuple[SigmaStep, ...]

    @property
    def kept(self) -> frozenset[float]:
        """The sigmas at which the sampling needs the state of the inversion."""
        return frozenset({self.up[-1].end, *(step.at for step in self.down)})


def latent_scale(sigma: float) -> float:
    """The factor from a latent in the scale of the timesteps to one in terms of sigma."""
    return math.sqrt(1 + sigma**2)


def ddim_timesteps(steps: int) -> list[int]:
    """The timesteps, rising, that the WebUI's DDIM has for `steps` steps.

    There are exactly `steps` of them only if `steps` divides 1000; else there are more.
    """
    return [min(t + 1, TIMESTEPS - 1) for t in range(0, TIMESTEPS, TIMESTEPS // steps)]


def exact_steps(most: int) -> list[int]:
    """The numbers of steps from 2 to `most` for which DDIM has exactly as many timesteps."""
    return [steps for steps in range(2, most + 1) if len(ddim_timesteps(steps)) == steps]


def sampler_schedule(sigmas: Sequence[float], inversion_steps: int = 0) -> Schedule:
    """A schedule over the sigmas of a sampler (all above 0), ending at 0 on both sides.

    The way down calls the UNet once at each sigma. The way up has as many calls; its first step
    calls the UNet at the lowest sigma and not at 0, because a picture without noise has none to
    predict. With more `inversion_steps` than sigmas each interval up is divided evenly, in the
    logarithm, into as many parts as reach that number.

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

    The inversion takes the picture for the state at t = 1 and calls the UNet `steps` times, the
    last time to go from t = 981 to 999. Sampling begins with that state but treats it as one at
    t = 961, calls the UNet `steps - 1` times and ends at t = 0.
    Source: https://github.com/jiwoogit/StyleID, run_styleid.py with its default start_step.

    sigmas: by timestep, 1000 of them. Raises InstantStyleError unless `steps` is 2 or more and
    divides 1000: with other numbers the timesteps are not those of the published code.
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


def move(x: torch.Tensor, noise: torch.Tensor, step: SigmaStep) -> torch.Tensor:
    """One step of DDIM without added noise, or of its inverse."""
    return x + (step.end - step.start) * noise


def invert(
    latent: torch.Tensor, steps: Sequence[SigmaStep], denoiser: Denoiser, keep: Collection[float]
) -> dict[float, torch.Tensor]:
    """The trajectory from a picture's latent to noise: its states at the sigmas `keep`.

    latent: [1, 4, h, w] as encoded by the VAE, in the scale of the timesteps.
    """
    x = latent * latent_scale(steps[0].start)
    states = {steps[0].start: x} if steps[0].start in keep else {}
    for step in steps:
        x = move(x, denoiser(x, step.at), step)
        if step.end in keep:
            states[step.end] = x
    return states


def state_at(trajectory: Trajectory, sigma: float) -> torch.Tensor:
    """The state at `sigma`, linearly between the two nearest states, or beyond the last two.

    A DDIM step is linear in sigma, so this is the state that a shorter step would have reached.
    """
    known = sorted(trajectory)
    above = min(bisect(known, sigma), len(known) - 1)
    low, high = known[above - 1], known[above]
    share = (sigma - low) / (high - low)
    return torch.lerp(trajectory[low], trajectory[high], share)


def adain(
    content: torch.Tensor,
    style: torch.Tensor,
    dims: Sequence[int],
    added_variance: float = 0.0,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Adaptive instance normalisation: `content` with the mean and standard deviation of `style`.

    Both statistics are taken over `dims` (the same in both; their lengths may differ), unbiased.
    For latents [B, C, h, w] dims are (2, 3), for tokens [B, N, h] they are (1,).
    added_variance: added to both variances, as StyleAligned does (1e-5). weights: how much each
    position counts in both statistics, 0 to 1, of a shape that spreads over `content` and `style`.
    Source: Huang and Belongie, arXiv 1703.06868.
    """
    mean, deviation = _moments(content, dims, added_variance, weights)
    style_mean, style_deviation = _moments(style, dims, added_variance, weights)
    return (content - mean) / deviation.clamp_min(_SMALLEST) * style_deviation + style_mean


def _moments(
    x: torch.Tensor, dims: Sequence[int], added_variance: float, weights: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    if weights is not None:
        mean, variance = _weighted_moments(x, dims, weights)
        return mean, (variance + added_variance).sqrt()
    alone = all(x.shape[dim] == 1 for dim in dims)  # a single token has no deviation
    variance, mean = torch.var_mean(x, dim=list(dims), keepdim=True, correction=0 if alone else 1)
    return mean, (variance + added_variance).sqrt()


def _weighted_moments(
    x: torch.Tensor, dims: Sequence[int], weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and unbiased variance; 0 where all weights are."""
    total = weights.sum().clamp_min(_SMALLEST)
    # The number of positions less one, where all weights are 0 or 1.
    freedom = total - weights.square().sum() / total
    mean = (x * weights).sum(dim=list(dims), keepdim=True) / total
    squares = ((x - mean).square() * weights).sum(dim=list(dims), keepdim=True)
    # A single position has no deviation; a rest of rounding must not be divided by.
    return mean, torch.where(freedom > 0.5, squares / freedom.clamp_min(0.5), 0)


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
