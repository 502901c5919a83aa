"""Keys and shapes of the tiny Stable Diffusion checkpoints."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from ..networks import (
    SD15_TINY,
    SDXL_TINY,
    AutoencoderKL,
    StableDiffusion,
    UNetModel,
    unfilled,
)
from ..networks.conditioner import ClipEmbedder, Conditioner
from ..networks.text import CLIP_L_TINY, OPEN_CLIP_TINY

Shapes = dict[str, tuple[int, ...]]


def shapes_of(module: nn.Module) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


def sdxl() -> tuple[Shapes, dict[str, str]]:
    """Shapes and metadata of tiny_sdxl."""
    with unfilled():
        model = StableDiffusion(
            UNetModel(SDXL_TINY), AutoencoderKL(), Conditioner(CLIP_L_TINY, OPEN_CLIP_TINY)
        )
    return shapes_of(model), {
        "miniature.num_head_channels": str(SDXL_TINY.num_head_channels),
        "miniature.clip_heads": str(CLIP_L_TINY.heads),
        "miniature.open_clip_heads": str(OPEN_CLIP_TINY.heads),
    }


def sd15(in_channels: int = 4) -> tuple[Shapes, dict[str, str]]:
    """Shapes and metadata of tiny_sd15 (4 channels in) and tiny_sd15_inpaint (9)."""
    unet = replace(SD15_TINY, in_channels=in_channels)
    with unfilled():
        model = StableDiffusion(UNetModel(unet), AutoencoderKL(), ClipEmbedder(CLIP_L_TINY))
    return shapes_of(model), {
        "miniature.num_heads": str(SD15_TINY.num_heads),
        "miniature.clip_heads": str(CLIP_L_TINY.heads),
    }
