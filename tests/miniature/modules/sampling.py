"""The samplers themselves: k-diffusion's ways of walking from noise to picture, written anew.

Each is called as `f(model, x, sigmas, extra_args=..., callback=..., disable=...)`, where
`model(x, sigma, **extra_args)` gives the denoised latent. References: Karras et al. 2022 (Euler,
Heun, churn), Lu et al. 2022 (DPM++ 2M), k-diffusion (ancestral steps).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

noise_like: Callable[[Tensor], Tensor] = torch.randn_like
"""Replaced before each sampling by one that draws from the seeds of the images."""


def to_d(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    return (x - denoised) / sigma


def get_ancestral_step(sigma_from, sigma_to, eta: float = 1.0) -> tuple[Tensor, Tensor]:
    """(where to step down to, how much noise to add again)."""
    if not eta:
        return sigma_to, torch.zeros_like(sigma_to)
    up = eta * (sigma_to**2 * (sigma_from**2 - sigma_to**2) / sigma_from**2) ** 0.5
    up = torch.minimum(sigma_to, up)
    return (sigma_to**2 - up**2) ** 0.5, up


def _tell(callback, x, i, sigmas, sigma_hat, denoised) -> None:
    if callback is not None:
        callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigma_hat, "denoised": denoised})


def _churn(x, sigma, steps, s_churn, s_tmin, s_tmax, s_noise) -> tuple[Tensor, Tensor]:
    gamma = min(s_churn / steps, 2**0.5 - 1) if s_tmin <= sigma <= s_tmax else 0.0
    sigma_hat = sigma * (gamma + 1)
    if gamma > 0:
        x = x + noise_like(x) * s_noise * (sigma_hat**2 - sigma**2) ** 0.5
    return x, sigma_hat


@torch.no_grad()
def sample_euler(
    model,
    x,
    sigmas,
    extra_args=None,
    callback=None,
    disable=None,
    s_churn=0.0,
    s_tmin=0.0,
    s_tmax=float("inf"),
    s_noise=1.0,
) -> Tensor:
    extra_args, ones = extra_args or {}, x.new_ones([x.shape[0]])
    steps = len(sigmas) - 1
    for i in range(steps):
        x, sigma_hat = _churn(x, sigmas[i], steps, s_churn, s_tmin, s_tmax, s_noise)
        denoised = model(x, sigma_hat * ones, **extra_args)
        _tell(callback, x, i, sigmas, sigma_hat, denoised)
        x = x + to_d(x, sigma_hat, denoised) * (sigmas[i + 1] - sigma_hat)
    return x


@torch.no_grad()
def sample_euler_ancestral(
    model, x, sigmas, extra_args=None, callback=None, disable=None, eta=1.0, s_noise=1.0
) -> Tensor:
    extra_args, ones = extra_args or {}, x.new_ones([x.shape[0]])
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * ones, **extra_args)
        _tell(callback, x, i, sigmas, sigmas[i], denoised)
        down, up = get_ancestral_step(sigmas[i], sigmas[i + 1], eta)
        x = x + to_d(x, sigmas[i], denoised) * (down - sigmas[i])
        if sigmas[i + 1] > 0:
            x = x + noise_like(x) * s_noise * up
    return x


@torch.no_grad()
def sample_heun(
    model,
    x,
    sigmas,
    extra_args=None,
    callback=None,
    disable=None,
    s_churn=0.0,
    s_tmin=0.0,
    s_tmax=float("inf"),
    s_noise=1.0,
) -> Tensor:
    """Second order: two calls of the model for each step but the last."""
    extra_args, ones = extra_args or {}, x.new_ones([x.shape[0]])
    steps = len(sigmas) - 1
    for i in range(steps):
        x, sigma_hat = _churn(x, sigmas[i], steps, s_churn, s_tmin, s_tmax, s_noise)
        denoised = model(x, sigma_hat * ones, **extra_args)
        d = to_d(x, sigma_hat, denoised)
        _tell(callback, x, i, sigmas, sigma_hat, denoised)
        dt = sigmas[i + 1] - sigma_hat
        if sigmas[i + 1] == 0:
            x = x + d * dt
            continue
        x_2 = x + d * dt
        d_2 = to_d(x_2, sigmas[i + 1], model(x_2, sigmas[i + 1] * ones, **extra_args))
        x = x + (d + d_2) / 2 * dt
    return x


@torch.no_grad()
def sample_dpmpp_2m(model, x, sigmas, extra_args=None, callback=None, disable=None) -> Tensor:
    extra_args, ones = extra_args or {}, x.new_ones([x.shape[0]])
    before = None  # (log sigma, denoised) of the step before
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * ones, **extra_args)
        _tell(callback, x, i, sigmas, sigmas[i], denoised)
        t, t_next = -sigmas[i].log(), -sigmas[i + 1].log()
        h = t_next - t
        estimate = denoised
        if before is not None and sigmas[i + 1] > 0:
            r = (t - before[0]) / h
            estimate = (1 + 1 / (2 * r)) * denoised - 1 / (2 * r) * before[1]
        x = sigmas[i + 1] / sigmas[i] * x - (-h).expm1() * estimate
        before = t, denoised
    return x


@torch.no_grad()
def ddim(model, x, timesteps, extra_args=None, callback=None, disable=None, eta=0.0) -> Tensor:
    """Song et al. 2021. The model gives the noise, `timesteps` rise.

    One call fewer than there are timesteps, as in A1111: 3 steps make 4 timesteps and 3 calls, but
    20 steps make 20 timesteps and 19 calls.
    """
    alphas_cumprod = model.inner_model.inner_model.alphas_cumprod.double()
    alphas = alphas_cumprod[timesteps]
    before = alphas_cumprod[torch.nn.functional.pad(timesteps[:-1], (1, 0))]
    extra_args = extra_args or {}
    ones = x.new_ones([x.shape[0]])
    for i in range(len(timesteps) - 1):
        index = len(timesteps) - 1 - i
        e_t = model(x, timesteps[index].item() * ones, **extra_args)
        a_t, a_prev = alphas[index].item(), before[index].item()
        sigma = eta * ((1 - a_prev) / (1 - a_t) * (1 - a_t / a_prev)) ** 0.5
        pred_x0 = (x - (1 - a_t) ** 0.5 * e_t) / a_t**0.5
        x = a_prev**0.5 * pred_x0 + (1 - a_prev - sigma**2) ** 0.5 * e_t
        x = x + sigma * noise_like(x)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": 0, "sigma_hat": 0, "denoised": pred_x0})
    return x
