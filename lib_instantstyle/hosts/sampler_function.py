"""The WebUI's sampler with our function in the place of its own.

A sampler object calls `self.func(model, x, sigmas=... or timesteps=..., ...)` in
`launch_sampling`. A function that calls `model(...)` has the WebUI's progress bar, previews,
interruption and guidance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from modules import sd_samplers_common

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.inversion import latent_scale


class Sampling:
    """The arguments of a sampler's function, in terms of sigma."""

    def __init__(
        self,
        model: Callable[..., torch.Tensor],
        levels: Sequence[float],
        timesteps: dict[float, int] | None,
        extra_args: dict[str, Any],
        callback: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        """timesteps: by sigma, for a model that takes timesteps and predicts noise; else None."""
        self.levels = levels  # sigmas at which the sampler would call the UNet
        self.extra_args = extra_args
        self._model = model
        self._timesteps = timesteps
        self._callback = callback
        self._sigma = 0.0
        self._denoised: torch.Tensor | None = None

    def predict(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        """The noise in the batch [B, 4, h, w], predicted with the user's prompts and guidance."""
        ones = x.new_ones([len(x)])
        self._sigma = sigma
        if self._timesteps is None:
            self._denoised = self._model(x, sigma * ones, **self.extra_args)
            return (x - self._denoised) / sigma
        noise = self._model(
            x / latent_scale(sigma), self._timesteps[sigma] * ones, **self.extra_args
        )
        self._denoised = x - sigma * noise
        return noise

    def after_step(self, i: int, x: torch.Tensor) -> None:
        """Tell the WebUI that step `i` is done."""
        if self._callback is not None:
            sigma = self._sigma
            done = {"x": x, "i": i, "sigma": sigma, "sigma_hat": sigma, "denoised": self._denoised}
            self._callback(done)


@contextmanager
def sampler_function(
    p: Any, sigmas: Sequence[float], sample: Callable[[Sampling], torch.Tensor]
) -> Iterator[None]:
    """A context in which `sample` does the sampling of p's sampler, in img2img.

    sigmas: by timestep, 1000 of them. sample: returns latents [B, 4, h, w] in the scale of the VAE.
    """
    sampler = p.sampler
    previous = sampler.func

    def func(
        model: Any,
        x: torch.Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Any = None,
        **schedule: Any,
    ) -> torch.Tensor:
        levels, timesteps = _levels(p, schedule, sigmas)
        with torch.no_grad():
            return sample(Sampling(model, levels, timesteps, dict(extra_args or {}), callback))

    sampler.func = func
    try:
        yield
    finally:
        sampler.func = previous


def _levels(
    p: Any, schedule: dict[str, Any], sigmas: Sequence[float]
) -> tuple[list[float], dict[float, int] | None]:
    if "sigmas" in schedule:
        return [float(sigma) for sigma in schedule["sigmas"] if sigma > 0], None
    if "timesteps" not in schedule:
        raise InstantStyleError(
            "this sampler chooses its noise levels itself; choose DDIM or Euler."
        )
    # DDIM's function is given all but the highest timestep, which its start is noised for.
    steps, highest = sd_samplers_common.setup_img2img_steps(p)
    timesteps = p.sampler.get_timesteps(p, steps)[: highest + 1].tolist()
    return [sigmas[t] for t in timesteps], {sigma: t for t, sigma in enumerate(sigmas)}
