"""Noise levels for n steps, from large to zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Scheduler:
    name: str
    label: str
    function: Callable | None
    default_rho: float = -1
    need_inner_model: bool = False
    aliases: list[str] | None = None


def _with_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])


def uniform(n, sigma_min, sigma_max, inner_model, device) -> Tensor:
    return inner_model.get_sigmas(n).to(device)


def karras(n, sigma_min, sigma_max, rho=7.0, device="cpu") -> Tensor:
    """Karras et al. 2022, equation 5."""
    ramp = torch.linspace(0, 1, n, device=device)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return _with_zero((high + ramp * (low - high)) ** rho)


def exponential(n, sigma_min, sigma_max, device="cpu") -> Tensor:
    low, high = math.log(sigma_min), math.log(sigma_max)
    return _with_zero(torch.linspace(high, low, n, device=device).exp())


def sgm_uniform(n, sigma_min, sigma_max, inner_model, device) -> Tensor:
    start = inner_model.sigma_to_t(torch.tensor(sigma_max))
    end = inner_model.sigma_to_t(torch.tensor(sigma_min))
    times = torch.linspace(float(start), float(end), n + 1)[:-1]
    return _with_zero(inner_model.t_to_sigma(times)).to(device)


schedulers = [
    Scheduler("automatic", "Automatic", None),
    Scheduler("uniform", "Uniform", uniform, need_inner_model=True),
    Scheduler("karras", "Karras", karras, default_rho=7.0),
    Scheduler("exponential", "Exponential", exponential),
    Scheduler(
        "sgm_uniform", "SGM Uniform", sgm_uniform, need_inner_model=True, aliases=["SGMUniform"]
    ),
]
schedulers_map = {**{x.name: x for x in schedulers}, **{x.label: x for x in schedulers}}
