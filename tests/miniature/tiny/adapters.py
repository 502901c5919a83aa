"""Keys and shapes of tiny IP-Adapters with a linear projection."""

from __future__ import annotations

import torch

from ..networks import UNetConfig, UNetModel
from .checkpoints import Shapes

TOKENS = 4


def attn2_widths(cfg: UNetConfig) -> list[int]:
    """Width of every cross-attention layer in the order in which IP-Adapter numbers them.

    That is diffusers' order of registration: down, up and the middle block LAST.
    """
    with torch.device("meta"):
        unet = UNetModel(cfg)
    return [
        module.to_q.out_features
        for part in (unet.input_blocks, unet.output_blocks, unet.middle_block)
        for name, module in part.named_modules()
        if name.endswith(".attn2")
    ]


def linear_adapter(cfg: UNetConfig, image_embed_dim: int) -> Shapes:
    """Image embedding [E] -> 4 tokens [C]; keys and values [h, C] for layers N = 1, 3, 5, ..."""
    context = cfg.context_dim
    shapes: Shapes = {
        "image_proj.proj.weight": (TOKENS * context, image_embed_dim),
        "image_proj.proj.bias": (TOKENS * context,),
        "image_proj.norm.weight": (context,),
        "image_proj.norm.bias": (context,),
    }
    for index, width in enumerate(attn2_widths(cfg)):
        number = 2 * index + 1  # even numbers are the self-attention layers between
        shapes[f"ip_adapter.{number}.to_k_ip.weight"] = (width, context)
        shapes[f"ip_adapter.{number}.to_v_ip.weight"] = (width, context)
    return shapes
