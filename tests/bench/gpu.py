"""The same on a GPU, where there is one: a whole SDXL UNet at 1024 px."""

from __future__ import annotations

import statistics
from typing import Any

import torch

from tests.bench.networks import SDXL_FULL, Weights, full_unet
from tests.bench.unet_calls import ROWS, Ours, find_layers
from tests.units import Unit

_SIDE = 128  # latent cells at 1024 px
_REPETITIONS = 20


def measure() -> Any:
    """Milliseconds of a UNet call by CUDA events; a synchronisation in our hooks is an error."""
    if not torch.cuda.is_available():
        return "not measured: no CUDA device"
    device = torch.device("cuda")
    unet = full_unet(SDXL_FULL, torch.float16).to(device)
    layers = find_layers(unet)
    weights = Weights(layers)
    x = torch.randn(len(ROWS), 4, _SIDE, _SIDE, device=device, dtype=torch.float16)
    t = torch.full((len(ROWS),), 500.0, device=device)
    text = torch.randn(len(ROWS), 77, 2048, device=device, dtype=torch.float16)
    adm = SDXL_FULL.adm_in_channels or 0
    y = torch.randn(len(ROWS), adm, device=device, dtype=torch.float16)

    def call() -> torch.Tensor:
        return unet(x, timesteps=t, context=text, y=y)

    style = Ours(unet, layers, weights.plan())
    everything = Ours(unet, layers, weights.plan(Unit(preset="original")))
    cases = {
        "plain": call,
        "ours, style": lambda: style(call),
        "ours, all blocks": lambda: everything(call),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    with torch.no_grad():
        for run in cases.values():
            run()
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            events = []
            for _ in range(_REPETITIONS):
                for name, run in cases.items():
                    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                    begin.record()
                    run()
                    end.record()
                    events.append((name, begin, end))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        torch.cuda.synchronize()
        for name, begin, end in events:
            times[name].append(begin.elapsed_time(end))
    medians = {name: statistics.median(of_case) for name, of_case in times.items()}
    return {
        "device": torch.cuda.get_device_name(),
        **{
            name: f"{median:.2f} ms ({median / medians['plain'] - 1:+.2%})"
            for name, median in medians.items()
        },
    }
