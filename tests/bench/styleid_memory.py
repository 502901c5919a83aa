"""What StyleID takes beside the sampling itself, measured: SD1.5 at full width and 512 px.

`python -m tests.bench.styleid_memory` runs the first of 50 steps without guidance, with the
trajectories of all 50 in memory: later steps do the same again. It needs 5 GB and some minutes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile

from lib_instantstyle.methods.styleid import algorithm
from lib_instantstyle.unet.inversion import Schedule, Trajectory, published_schedule
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.self_attention import self_attention_hooks
from tests.bench.networks import SD15_FULL, full_unet
from tests.miniature.networks.attention import use_attention
from tests.unit.noise_schedule import SIGMAS

_STEPS, _RUN = 50, 1
_SIDE = 64  # latent cells at 512 px
_MIB = 2**20


def measure() -> dict[str, float]:
    """Peaks in MiB of what PyTorch allocates, over what it held at the start."""
    use_attention("sdp")
    unet = full_unet(SD15_FULL, torch.float32)
    context = torch.randn(1, 77, 768)
    whole = published_schedule(_STEPS, SIGMAS)
    schedule = replace(whole, down=whole.down[:_RUN])

    def noise(x: Tensor, sigma: float) -> Tensor:
        return _ask(unet, x, sigma, context)

    def plain() -> None:
        x = torch.randn(1, 4, _SIDE, _SIDE)
        for step in schedule.down:
            x = algorithm.move(x, noise(x, step.at), step)

    def styled() -> None:
        kept = _trajectory(whole), _trajectory(whole)
        layers = find_layers(unet).self_attentions_in(algorithm.DEFAULT_BLOCKS["sd15"])
        with self_attention_hooks(unet, layers) as hooks:
            style, content = kept
            transfer = algorithm.StyleTransfer(
                schedule, style, [content], [0], algorithm.Settings(), hooks
            )
            transfer.sample(noise, noise, lambda i, x: None)

    with torch.no_grad():
        found = {name: _allocated(run) for name, run in (("plain", plain), ("styled", styled))}
    return {**found, "extra": round(found["styled"] - found["plain"], 1)}


def _trajectory(schedule: Schedule) -> Trajectory:
    return {sigma: torch.randn(1, 4, _SIDE, _SIDE) for sigma in schedule.kept}


def _ask(unet: Any, x: Tensor, sigma: float, context: Tensor) -> Tensor:
    rows = len(x)
    timesteps = torch.full([rows], float(SIGMAS.index(sigma)))
    answer: Tensor = unet(
        x / (1 + sigma**2) ** 0.5, timesteps=timesteps, context=context.expand(rows, -1, -1)
    )
    return answer


def _allocated(run: Callable[[], None]) -> float:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    assert seen.profiler is not None and seen.profiler.kineto_results is not None
    changes = sorted(_allocations(seen.profiler.kineto_results.experimental_event_tree()))
    total = peak = 0
    for _, size in changes:
        total += size
        peak = max(peak, total)
    return round(peak / _MIB, 1)


def _allocations(events: Any) -> Iterator[tuple[int, int]]:
    """When, and how many bytes more or less."""
    for event in events:
        if event.tag == _EventType.Allocation:
            yield event.start_time_ns, event.extra_fields.alloc_size
        yield from _allocations(event.children)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
