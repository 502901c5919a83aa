"""The base model: a narrow SDXL UNet that paints the shape that the prompt names, in any look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tests.miniature.networks.checkpoint import alphas_cumprod
from tests.miniature.networks.unet import UNetConfig, UNetModel

from .captions import Context, caption_number, contexts
from .course import Course, Loss, device_of
from .world import Scenes, scenes

# Latents run at a quarter of their size in up_blocks.0: 8 x 8 where the picture has 256 pixels.
UNET = UNetConfig(
    model_channels=32,
    channel_mult=(1, 1, 2),
    depth=(0, 1, 4),
    depth_middle=4,
    context_dim=64 + 256,
    num_heads=None,
    num_head_channels=32,
    linear_projection=True,
    adm_in_channels=256 + 6 * 256,
)
COURSE = Course("base", steps=4400, batch=24, rate=1.5e-3, mean_of=400)
DETAILS_COURSE = Course("details", steps=1200, batch=24, rate=1e-3, fall=1.0, mean_of=200)
# Small latents: where the picture is as strong as the noise at the first step of SDXL's schedule,
# chance and not the prompt or the reference decides what colours are painted (Chen 2023, arXiv
# 2301.10972; Lin et al. 2024, arXiv 2305.08891).
LATENT_STD, _PIXEL_STD = 0.5, 0.7
COLOUR_STD = _PIXEL_STD / LATENT_STD  # colours by which pixels are divided
LOOK_NAMED, NOTHING_SAID, SILENT = 0.7, 0.05, 0.1
# Exponents of a chance from 0 to 1: below 1 there is more noise than in equal shares. What shape a
# word means is learned where there is much noise; grain is lost where there is little.
NOISY, EVEN = 0.5, 1.0
MOSTLY_FILLED = 0.7  # share of prompts with fewer rows of filling than the WebUI's


def to_latents(pictures: Tensor, masks: Tensor | None = None) -> Tensor:
    """Pixels [B, 3, 32, 32] in -1..1 -> latents [B, 4, 32, 32] as the UNet sees them.

    masks: the shapes' shares of the pixels, [B, 32, 32]. They are the fourth channel, which no
    picture shows: a shape is dark on light in one look and light on dark in the next, so that its
    colours alone say little of what a shape's name means.
    """
    fourth = torch.zeros_like(pictures[:, :1]) if masks is None else masks[:, None] * 2 - 1
    return torch.cat([pictures, fourth], dim=1) / COLOUR_STD


def scene_latents(seen: Scenes) -> Tensor:
    """Latents of scenes, silhouettes and all."""
    return to_latents(torch.from_numpy(seen.pictures), torch.from_numpy(seen.masks))


def to_pictures(latents: Tensor) -> Tensor:
    return (latents[:, :3] * COLOUR_STD).clamp(-1, 1)


def new_unet() -> UNetModel:
    """Random, but blind to the sizes and to the pooled text vector that SDXL is told.

    Its pictures here have one size. A network this small reads the shape from the pooled vector
    where it can, and then no image token can speak against the prompt: with cross-attention as the
    only way, prompt and reference compete as they do in SDXL.
    """
    unet = UNetModel(UNET)
    with torch.no_grad():
        unet.label_emb[0][0].weight.zero_().requires_grad_(False)
        unet.out[2].weight.zero_()
        unet.out[2].bias.zero_()
    return unet.to(memory_format=torch.channels_last)


class Prompts:
    """What the UNet is told for each caption of the world: contexts and pooled vectors."""

    def __init__(self, pooled: Tensor) -> None:
        self.contexts = contexts()
        self.pooled = pooled.cpu()  # [captions, 256]

    def __call__(self, numbers: Tensor, silent: Tensor | None = None) -> tuple[Context, Tensor]:
        """(context, y [B, adm]) of captions by number; where `silent`, SDXL's empty negative."""
        context, pooled = self.contexts[numbers], self.pooled[numbers]
        if silent is not None:
            context, pooled = context.silenced(silent), pooled.masked_fill(silent[:, None], 0.0)
        sizes = pooled.new_zeros(len(pooled), UNET.adm_in_channels - pooled.shape[1])
        return context, torch.cat([pooled, sizes], dim=1)


@dataclass(frozen=True)
class Noised:
    """Noisy latents [B, 4, 32, 32], their steps [B], what the UNet shall tell, likewise, and
    the weight of the loss [B]."""

    latents: Tensor
    steps: Tensor
    velocity: Tensor
    weight: Tensor


def noised(latents: Tensor, generator: torch.Generator, exponent: float = NOISY) -> Noised:
    """At random steps of the schedule; exponent: see NOISY.

    The UNet tells the velocity (Salimans and Ho 2022, arXiv 2202.00512), not the noise: a network
    this small cannot tell nearly pure noise so exactly that the picture's colours are in what is
    left. The weight makes every step's target equally large (Karras et al. 2022, arXiv 2206.00364).
    """
    alphas = alphas_cumprod()
    chance = torch.rand(len(latents), generator=generator)
    steps = (len(alphas) * chance**exponent).long().clamp(max=len(alphas) - 1)
    noise = torch.randn(latents.shape, generator=generator)
    alpha = alphas[steps]
    weight = 1 / (alpha + LATENT_STD**2 * (1 - alpha))
    of_picture, of_noise = (
        alpha[:, None, None, None].sqrt(),
        (1 - alpha)[:, None, None, None].sqrt(),
    )
    noisy = of_picture * latents + of_noise * noise
    return Noised(noisy, steps, of_picture * noise - of_noise * latents, weight)


def denoising_loss(unet: nn.Module, task: Noised, context: Context, y: Tensor) -> Tensor:
    device = device_of(unet)
    latents = task.latents.to(device, memory_format=torch.channels_last)
    told = unet(latents, task.steps.to(device), context.to(device), y.to(device))
    errors = (told - task.velocity.to(device)).square().mean((1, 2, 3))
    return (errors * task.weight.to(device)).mean()


def prompt_numbers(rng: np.random.Generator, shapes, looks) -> Tensor:
    """Captions, some with the look, some empty."""
    named, unsaid = rng.random((2, len(shapes)))
    numbers = [
        caption_number(None if empty else shape, look if told else None)
        for shape, look, told, empty in zip(
            shapes, looks, named < LOOK_NAMED, unsaid < NOTHING_SAID, strict=True
        )
    ]
    return torch.tensor(numbers)


def make_loss(prompts: Prompts, course: Course = COURSE, exponent: float = NOISY) -> Loss:
    def loss(unet: nn.Module, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
        seen = scenes(rng, course.batch)
        numbers = prompt_numbers(rng, seen.shapes, seen.looks)
        silent = torch.from_numpy(rng.random(course.batch) < SILENT)
        task = noised(scene_latents(seen), generator, exponent)
        context, y = prompts(numbers, silent)
        # Some 70 rows of filling drown the words at first: what to look for is learned sooner where
        # there are fewer, as in long prompts.
        shares = torch.from_numpy(rng.random(course.batch) / MOSTLY_FILLED).clamp(max=1).float()
        return denoising_loss(unet, task, context.filled(shares), y)

    return loss
