"""Contexts around the model evaluations of a sampler, and changes of their output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch

from lib_instantstyle.unet.inversion import latent_scale

Change = Callable[[torch.Tensor], torch.Tensor]
"""Changes the denoised latents [B, 4, h, w] that an evaluation predicts."""


@dataclass(frozen=True)
class ModelCall:
    """One evaluation of the model by a sampler.

    fraction: completed share of the pass before it. state: the latents [B, 4, h, w], not scaled
    down. predicted_at: what the same evaluation, with the user's prompts and guidance, predicts for
    other latents of that shape: the denoised ones. It is one more evaluation, and neither the
    WebUI's counters nor its random numbers move on.
    """

    sigma: float
    fraction: float
    state: torch.Tensor
    predicted_at: Change


@contextmanager
def around_model_calls(
    p: Any,
    progress: Callable[[Any, torch.Tensor], float],
    sigmas: Sequence[float],
    enter: Callable[[ModelCall, ExitStack], Change | None],
) -> Iterator[None]:
    """Call `enter(call, exits)` before each evaluation of p's sampler in this context.

    progress: see SamplerProgress.fraction. sigmas: by timestep, 1000 of them. The contexts entered
    in `exits` end with the evaluation. The change that `enter` returns, if any, is applied to its
    output; where the change returns what it was given, the output stays as it is.
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
        scale = latent_scale(sigma) if in_timesteps else 1.0

        def predicted_at(state: torch.Tensor) -> torch.Tensor:
            x = state / scale if in_timesteps else state
            given = ((x, *args[1:]), kwargs) if args else ((), {**kwargs, "x": x})
            output = _one_more(p, denoiser, *given)
            return state - sigma * output if in_timesteps else output

        state = x * scale if in_timesteps else x
        call = ModelCall(sigma, progress(denoiser, level), state, predicted_at)
        change = enter(call, exits)
        changes[:] = [(change, sigma, state)] if change else []

    def after(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor | None:
        exits.close()
        for change, sigma, state in changes:
            predicted = state - sigma * output if in_timesteps else output
            changed = change(predicted)
            if changed is predicted:
                return None
            return (state - changed) / sigma if in_timesteps else changed  # or it is the noise
        return None

    with ExitStack() as handles:
        handles.callback(exits.close)
        before_handle = denoiser.register_forward_pre_hook(before, with_kwargs=True)
        handles.callback(before_handle.remove)
        handles.callback(denoiser.register_forward_hook(after).remove)
        yield


def _one_more(p: Any, denoiser: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """The output of one more evaluation, after which the WebUI stands where it stood.

    The refiner is hidden from it: it would take over in this call, and the sampler's own call would
    go on with the prompts of the checkpoint before.
    """
    sampler, missing = p.sampler, object()
    kept = [
        (owner, name, getattr(owner, name, missing))
        for owner, name in (
            (denoiser, "step"),
            (denoiser, "last_noise_uncond"),
            (sampler, "last_latent"),
            (p, "refiner_checkpoint_info"),
        )
    ]
    x = args[0] if args else kwargs["x"]
    devices = [x.device] if x.device.type == "cuda" else []
    if getattr(p, "refiner_checkpoint_info", None) is not None:
        p.refiner_checkpoint_info = None
    try:
        with torch.random.fork_rng(devices):  # Forge draws noise for what inpainting keeps
            found: torch.Tensor = denoiser.forward(*args, **kwargs)
            return found
    finally:
        for owner, name, value in kept:
            if value is not missing:
                setattr(owner, name, value)


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
