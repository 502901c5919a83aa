"""Contexts around the model evaluations of a sampler, and changes of their output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any

import torch

from lib_instantstyle.unet.inversion import latent_scale

Change = Callable[[torch.Tensor], torch.Tensor]
"""Changes the denoised latents [B, 4, h, w] that an evaluation predicts."""


@contextmanager
def around_model_calls(
    p: Any,
    progress: Callable[[Any, torch.Tensor], float],
    sigmas: Sequence[float],
    enter: Callable[[float, float, torch.Tensor, ExitStack], Change | None],
) -> Iterator[None]:
    """Call `enter(sigma, fraction, state, exits)` before each evaluation of p's sampler here.

    progress: see SamplerProgress.fraction. sigmas: by timestep, 1000 of them. sigma: of the
    evaluation. fraction: completed share of the pass. state: the latents [B, 4, h, w], not scaled
    down. The contexts entered in `exits` end with the evaluation.
    The change that `enter` returns, if any, is applied to its output.
    """
    denoiser = p.sampler.model_wrap_cfg
    in_timesteps = "timesteps" in signature(p.sampler.func).parameters
    exits = ExitStack()
    changes: list[tuple[Change, float, torch.Tensor]] = []  # of the current evaluation

    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        level = args[1] if len(args) > 1 else kwargs["sigma"]
        value = float(level.flatten()[0])
        sigma = sigma_of(value, sigmas) if in_timesteps else value
        x = args[0] if args else kwargs["x"]
        state = x * latent_scale(sigma) if in_timesteps else x
        change = enter(sigma, progress(denoiser, level), state, exits)
        changes[:] = [(change, sigma, state)] if change else []

    def after(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor | None:
        exits.close()
        for change, sigma, state in changes:
            if not in_timesteps:
                return change(output)
            return (state - change(state - sigma * output)) / sigma  # the output is the noise
        return None

    with ExitStack() as handles:
        handles.callback(exits.close)
        before_handle = denoiser.register_forward_pre_hook(before, with_kwargs=True)
        handles.callback(before_handle.remove)
        handles.callback(denoiser.register_forward_hook(after).remove)
        yield


def inpainted_area(p: Any) -> torch.Tensor | None:
    """What inpainting changes, [1, 1, h, w] from 0 to 1 over the latents; None for all of it."""
    area = getattr(p.sampler.model_wrap_cfg, "nmask", None)
    if not isinstance(area, torch.Tensor):
        return None
    return area.float().reshape(-1, 1, *area.shape[-2:])[:1]  # all channels have the same


def sigma_of(timestep: float, sigmas: Sequence[float]) -> float:
    """The sigma of a timestep, interpolated where a sampler uses one between two whole ones."""
    low = min(max(int(timestep), 0), len(sigmas) - 2)
    share = min(max(timestep - low, 0.0), 1.0)
    return sigmas[low] + share * (sigmas[low + 1] - sigmas[low])
