"""Reads the shape of every network from a checkpoint's keys, so that no yaml is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .text import TextConfig
from .unet import UNetConfig
from .vae import VAEConfig

Shapes = Mapping[str, tuple[int, ...]]

UNET = "model.diffusion_model."
VAE = "first_stage_model."
SD15_TEXT = "cond_stage_model.transformer."
SDXL = "conditioner."
SDXL_CLIP = SDXL + "embedders.0.transformer."
SDXL_OPEN_CLIP = SDXL + "embedders.1.model."


def under(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    """The entries below a prefix, with the prefix cut off."""
    cut = len(prefix)
    return {key[cut:]: shape for key, shape in shapes.items() if key.startswith(prefix)}


def count(keys: Iterable[str], pattern: str) -> int:
    """How many different numbers stand where `pattern` has its group."""
    return len({m[1] for key in keys if (m := re.match(pattern, key))})


def _heads(metadata: Mapping[str, str], key: str, default: int) -> int:
    # Heads leave no trace in the weights; real checkpoints use the defaults.
    return int(metadata.get(f"miniature.{key}", default))


def unet_config(shapes: Shapes, metadata: Mapping[str, str] | None = None) -> UNetConfig:
    """Config of a UNet from its own keys (no prefix). Raises KeyError for any other network."""
    metadata = metadata or {}
    width, in_channels = shapes["input_blocks.0.0.weight"][:2]
    mults: list[int] = []
    depths: list[int] = []
    res_blocks = 0
    new_level = True
    for i in range(1, count(shapes, r"input_blocks\.(\d+)\.")):
        block = f"input_blocks.{i}."
        if f"{block}0.op.weight" in shapes:
            new_level = True
            continue
        if new_level:
            mults.append(shapes[f"{block}0.in_layers.2.weight"][0] // width)
            depths.append(count(shapes, re.escape(block) + r"1\.transformer_blocks\.(\d+)\."))
            new_level = False
        res_blocks += len(mults) == 1
    attention = next(key for key in shapes if key.endswith(".attn2.to_k.weight"))
    transformer = attention.split("transformer_blocks")[0]
    linear = len(shapes[f"{transformer}proj_in.weight"]) == 2
    adm = shapes.get("label_emb.0.0.weight")
    return UNetConfig(
        model_channels=width,
        channel_mult=tuple(mults),
        depth=tuple(depths),
        depth_middle=count(shapes, r"middle_block\.1\.transformer_blocks\.(\d+)\."),
        context_dim=shapes[attention][1],
        in_channels=in_channels,
        out_channels=shapes["out.2.weight"][0],
        num_res_blocks=res_blocks,
        num_heads=None if linear else _heads(metadata, "num_heads", 8),
        num_head_channels=_heads(metadata, "num_head_channels", 64) if linear else None,
        linear_projection=linear,
        adm_in_channels=adm[1] if adm else None,
    )


def vae_config(shapes: Shapes) -> VAEConfig:
    ch = shapes["encoder.conv_in.weight"][0]
    levels = count(shapes, r"encoder\.down\.(\d+)\.")
    return VAEConfig(
        ch=ch,
        ch_mult=tuple(
            shapes[f"encoder.down.{i}.block.0.conv1.weight"][0] // ch for i in range(levels)
        ),
        num_res_blocks=count(shapes, r"encoder\.down\.0\.block\.(\d+)\."),
        z_channels=shapes["decoder.conv_in.weight"][1],
        embed_dim=shapes["post_quant_conv.weight"][1],
    )


def clip_config(shapes: Shapes, metadata: Mapping[str, str] | None = None) -> TextConfig:
    """Config of a Hugging Face text tower from keys that begin with `text_model.`."""
    vocabulary, width = shapes["text_model.embeddings.token_embedding.weight"]
    return TextConfig(
        width=width,
        layers=count(shapes, r"text_model\.encoder\.layers\.(\d+)\."),
        heads=_heads(metadata or {}, "clip_heads", max(width // 64, 1)),
        mlp=shapes["text_model.encoder.layers.0.mlp.fc1.weight"][0],
        vocabulary=vocabulary,
    )


def open_clip_config(shapes: Shapes, metadata: Mapping[str, str] | None = None) -> TextConfig:
    """Config of an OpenCLIP text tower from its own keys."""
    vocabulary, width = shapes["token_embedding.weight"]
    return TextConfig(
        width=width,
        layers=count(shapes, r"transformer\.resblocks\.(\d+)\."),
        heads=_heads(metadata or {}, "open_clip_heads", max(width // 64, 1)),
        embed_dim=shapes["text_projection"][1],
        mlp=shapes["transformer.resblocks.0.mlp.c_fc.weight"][0],
        vocabulary=vocabulary,
    )
