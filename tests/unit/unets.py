"""UNets that are only as much of one as a test needs."""

from types import SimpleNamespace

import torch
from diffusers import UNet2DConditionModel

from lib_instantstyle.unet.layers import CrossAttention, UnetLayers

PUBLISHED = {
    "sdxl": {
        "block_out_channels": (32, 64, 64),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (2, 4, 4),
        "use_linear_projection": True,
    },
    "sd15": {"block_out_channels": (32, 32, 32, 32), "attention_head_dim": 4},
}


def diffusers_unet(name):
    return UNet2DConditionModel(sample_size=8, cross_attention_dim=16, **PUBLISHED[name])


def unet_like(layout, context_width=16, width=8):
    """Its layers alone, without modules."""
    by_number = {
        layer.number: CrossAttention(layer, SimpleNamespace(), width, 2) for layer in layout.layers
    }
    return UnetLayers(layout, context_width, by_number)


def randomised(module, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        scale = 0.3 if parameter.dim() < 2 else 1.0 / parameter[0].numel() ** 0.5
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return module.eval().requires_grad_(False)
