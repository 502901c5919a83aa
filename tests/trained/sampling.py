"""Pictures from the trained model without a WebUI: Euler's method with classifier-free guidance."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from tests.miniature.networks.checkpoint import alphas_cumprod

from .base import Prompts
from .course import device_of
from .world import SIDE


def schedule(count: int) -> tuple[Tensor, Tensor]:
    """The WebUI's "Automatic": steps from the last to 0, evenly spread, fractions and all, [count];
    their noise levels, and no noise at the end, [count + 1]."""
    alphas = alphas_cumprod()
    levels = ((1 - alphas) / alphas).sqrt().log()
    steps = torch.linspace(len(levels) - 1, 0, count)
    low = steps.long().clamp(max=len(levels) - 2)
    between = levels[low] + (levels[low + 1] - levels[low]) * (steps - low)
    return steps, torch.cat([between.exp(), torch.zeros(1)])


@torch.no_grad()
def sample(
    unet: nn.Module, prompts: Prompts, numbers: Tensor, seed: int, count: int = 12, cfg: float = 4.0
) -> Tensor:
    """Latents [B, 4, 32, 32] for captions by number, in `count` steps. Needs training_attention."""
    device, generator = device_of(unet), torch.Generator().manual_seed(seed)
    steps, levels = schedule(count)
    noise = torch.randn(len(numbers), 4, SIDE, SIDE, generator=generator)
    x = (noise * levels[0]).to(device, memory_format=torch.channels_last)
    both = torch.cat([numbers, numbers])
    context, y = prompts(both, torch.arange(len(both)) >= len(numbers))
    context, y = context.to(device), y.to(device)
    for step, (level, after) in zip(steps, pairwise(levels), strict=True):
        scaled = x / (level**2 + 1).sqrt()
        times = step.expand(len(both)).to(device)
        told, untold = unet(torch.cat([scaled, scaled]), times, context, y).chunk(2)
        velocity = untold + cfg * (told - untold)
        noise = (velocity + level * scaled) / (level**2 + 1).sqrt()
        x = x + noise * (after - level)
    return x
