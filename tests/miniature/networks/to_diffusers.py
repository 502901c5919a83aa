"""The same UNet as diffusers' UNet2DConditionModel, which serves the tests as an oracle.

Only this module imports diffusers, and only inside its functions: the miniature runs without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from safetensors.torch import load_file
from torch import Tensor

from . import layout
from .checkpoint import read_layout
from .unet import UNetConfig, UNetModel, timestep_embedding
from .unfilled import unfilled

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

_TOP = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
    "middle_block.0": "mid_block.resnets.0",
    "middle_block.1": "mid_block.attentions.0",
    "middle_block.2": "mid_block.resnets.1",
}
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_BLOCK = re.compile(r"(input|output)_blocks\.(\d+)\.(\d+)\.(.*)")


def _swap_prefix(key: str, table: Mapping[str, str]) -> str | None:
    for old, new in table.items():
        if key.startswith(old + "."):
            return new + key[len(old) :]
    return None


def diffusers_key(key: str, num_res_blocks: int = 2) -> str:
    """`output_blocks.1.1.norm.weight` -> `up_blocks.0.attentions.1.norm.weight`, and so on.

    Raises ValueError for a key that is none of a Stable Diffusion UNet's.
    """
    top = _swap_prefix(key, _TOP)
    if top is not None:
        middle = re.fullmatch(r"(mid_block\.resnets\.\d)\.(.*)", top)
        return f"{middle[1]}.{_swap_prefix(middle[2], _RESNET)}" if middle else top
    match = _BLOCK.fullmatch(key)
    if match is None:
        raise ValueError(f"{key!r} is no key of a Stable Diffusion UNet")
    side, number, slot, inner = match[1], int(match[2]), int(match[3]), match[4]
    # Input blocks: the stem, then per level the residual blocks and a downsampler.
    # Output blocks: per level one residual block more; the upsampler shares the last one's number.
    per_level = num_res_blocks + 1
    level, index = divmod(number - 1 if side == "input" else number, per_level)
    block = f"{'down' if side == 'input' else 'up'}_blocks.{level}"
    if inner.startswith("op."):
        return f"{block}.downsamplers.0.conv.{inner[3:]}"
    if inner.startswith("conv."):
        return f"{block}.upsamplers.0.{inner}"
    if slot == 0:
        return f"{block}.resnets.{index}.{_swap_prefix(inner, _RESNET)}"
    return f"{block}.attentions.{index}.{inner}"


def diffusers_config(cfg: UNetConfig) -> dict[str, Any]:
    """Arguments of UNet2DConditionModel."""
    widths = [cfg.model_channels * mult for mult in cfg.channel_mult]
    heads = [cfg.heads(width)[0] for width in widths]
    down = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in cfg.depth]
    up = ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(cfg.depth)]
    depth = [max(depth, 1) for depth in cfg.depth]
    if depth[-1] != cfg.depth_middle:
        raise ValueError("diffusers gives the middle block the depth of the last level")
    config: dict[str, Any] = {
        "in_channels": cfg.in_channels,
        "out_channels": cfg.out_channels,
        "block_out_channels": widths,
        "down_block_types": down,
        "up_block_types": up,
        "layers_per_block": cfg.num_res_blocks,
        "transformer_layers_per_block": depth,
        "cross_attention_dim": cfg.context_dim,
        # Misnamed in diffusers: for these models it is the number of heads.
        "attention_head_dim": heads,
        "use_linear_projection": cfg.linear_projection,
    }
    if cfg.adm_in_channels:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": cfg.adm_in_channels,
        }
    return config


def diffusers_unet(
    source: UNetModel | Mapping[str, Tensor] | Path | str,
    metadata: Mapping[str, str] | None = None,
) -> UNet2DConditionModel:
    """The UNet of a module, a state dict (whole checkpoint or UNet alone) or a .safetensors file.

    A bare state dict does not tell the number of heads: without the file's `metadata` a real
    checkpoint's is assumed, which is wrong for the tiny ones. The result is in eval mode, without
    gradients, on the CPU and in the dtype of the source.
    """
    from diffusers import UNet2DConditionModel

    state: Mapping[str, Tensor]
    if isinstance(source, UNetModel):
        cfg, state = source.cfg, source.state_dict()
    else:
        if isinstance(source, (str, Path)):
            metadata = read_layout(source)[1] if metadata is None else metadata
            state = load_file(str(source))
        else:
            state = source
        cut = layout.UNET if any(key.startswith(layout.UNET) for key in state) else ""
        state = {k[len(cut) :]: tensor for k, tensor in state.items() if k.startswith(cut)}
        shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
        cfg = layout.unet_config(shapes, metadata)
    with unfilled():
        unet = UNet2DConditionModel(**diffusers_config(cfg))
    unet.load_state_dict(
        {diffusers_key(key, cfg.num_res_blocks): tensor for key, tensor in state.items()}
    )
    return unet.to(next(iter(state.values())).dtype).eval().requires_grad_(False)


def load_adapters(unet: UNet2DConditionModel, *adapters: Mapping[str, Any]) -> None:
    """IP-Adapters, in the two dictionaries of their .bin files, by diffusers' own loader.

    It asks for all attention processors once for each of them, which walks the whole UNet: 70 times
    for SDXL. Here they are looked up once.
    """
    processors = unet.attn_processors
    with patch.object(type(unet), "attn_processors", processors):
        unet._load_ip_adapter_weights(list(adapters))


def size_vector(text_embeds: Tensor, time_ids: Tensor) -> Tensor:
    """The `y` of an ldm SDXL UNet from diffusers' `added_cond_kwargs`.

    text_embeds [B, E], time_ids [B, 6] (original, crop, target as height, width) -> [B, E + 1536].
    """
    sizes = timestep_embedding(time_ids.flatten(), 256).reshape(len(time_ids), -1)
    return torch.cat([text_embeds, sizes.to(text_embeds.dtype)], dim=1)
