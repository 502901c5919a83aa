"""Keys and shapes of tiny IP-Adapters: linear, and "plus" with a Resampler."""

from __future__ import annotations

from ..networks import UNetConfig, UNetModel, unfilled
from .checkpoints import Shapes

TOKENS = 4
QUERIES, WIDTH, DEPTH = 16, 64, 4  # of the Resampler; stock ones are 768 or 1280 wide


def attn2_widths(cfg: UNetConfig) -> list[int]:
    """Width of every cross-attention layer in the order in which IP-Adapter numbers them.

    That is diffusers' order of registration: down, up and the middle block LAST.
    """
    with unfilled():
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
    return shapes | keys_and_values(cfg)


def plus_adapter(cfg: UNetConfig, hidden_width: int) -> Shapes:
    """Hidden states [257, W] -> 16 tokens [C]; keys and values as in every adapter."""
    context = cfg.context_dim
    shapes: Shapes = {
        "latents": (1, QUERIES, WIDTH),
        "proj_in.weight": (WIDTH, hidden_width),
        "proj_in.bias": (WIDTH,),
        "proj_out.weight": (context, WIDTH),
        "proj_out.bias": (context,),
        "norm_out.weight": (context,),
        "norm_out.bias": (context,),
    }
    for i in range(DEPTH):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            shapes[f"layers.{i}.{norm}.weight"] = (WIDTH,)
            shapes[f"layers.{i}.{norm}.bias"] = (WIDTH,)
        shapes[f"layers.{i}.0.to_q.weight"] = (WIDTH, WIDTH)
        shapes[f"layers.{i}.0.to_kv.weight"] = (2 * WIDTH, WIDTH)
        shapes[f"layers.{i}.0.to_out.weight"] = (WIDTH, WIDTH)
        shapes[f"layers.{i}.1.1.weight"] = (4 * WIDTH, WIDTH)
        shapes[f"layers.{i}.1.3.weight"] = (WIDTH, 4 * WIDTH)
    named: Shapes = {f"image_proj.{key}": shape for key, shape in shapes.items()}
    return named | keys_and_values(cfg)


def keys_and_values(cfg: UNetConfig) -> Shapes:
    """The half of an adapter that stands in the UNet's layers."""
    context = cfg.context_dim
    shapes: Shapes = {}
    for index, width in enumerate(attn2_widths(cfg)):
        number = 2 * index + 1  # even numbers are the self-attention layers between
        shapes[f"ip_adapter.{number}.to_k_ip.weight"] = (width, context)
        shapes[f"ip_adapter.{number}.to_v_ip.weight"] = (width, context)
    return shapes
