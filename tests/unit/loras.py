"""Random LoRAs in the spellings that trainers and converters use."""

import math

import torch

from lib_instantstyle.layout import SDXL
from lib_instantstyle.methods.b_lora.files import linear_layers
from tests.unit.adapters import Noise

STYLE, CONTENT = SDXL.blocks[6], SDXL.blocks[5]
ELSEWHERE = SDXL.blocks[7]
RANK = 3
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


def factors(unet, blocks=(STYLE, CONTENT), rank=RANK, only=None, seed=3):
    """(block, path) -> down [r, in], up [out, r], for the linear layers of some blocks.

    only: the last part of the paths, by default what a B-LoRA is trained in.
    """
    noise = Noise(seed)
    only = only or tuple(f"{a}.{p}" for a in ("attn1", "attn2") for p in PROJECTIONS)
    by_name = {block.diffusers: block for block in SDXL.blocks}
    return {
        (by_name[name], path): (
            noise(rank, module.in_features, scale=module.in_features**-0.5),
            noise(module.out_features, rank, scale=0.5 / math.sqrt(rank)),
        )
        for (name, path), module in linear_layers(unet, blocks).items()
        if path.endswith(only)
    }


def published(loras):
    """As the B-LoRA repository writes it."""
    return _spelled(loras, "unet.{}.{}", ".lora.down.weight", ".lora.up.weight")


def peft(loras, prefix="unet."):
    """As peft and today's diffusers have it."""
    return _spelled(loras, prefix + "{}.{}", ".lora_A.weight", ".lora_B.weight")


def kohya(loras, ldm=True, alpha=None):
    """As kohya's sd-scripts write it: SDXL in ldm's names, with an alpha for each layer."""
    tensors = {}
    for (block, path), (down, up) in loras.items():
        name = f"{block.ldm if ldm else block.diffusers}.{path}".replace(".", "_")
        tensors[f"lora_unet_{name}.lora_down.weight"] = down
        tensors[f"lora_unet_{name}.lora_up.weight"] = up
        tensors[f"lora_unet_{name}.alpha"] = torch.tensor(alpha or float(len(down)))
    return tensors


def lycoris(loras, ldm=False, start="lycoris_"):
    """As LyCORIS' wrapper around a UNet writes it."""
    written = kohya(loras, ldm=ldm)
    return {name.replace("lora_unet_", start, 1): tensor for name, tensor in written.items()}


def processors(loras):
    """As diffusers wrote attention processors, before version 0.22."""
    tensors = {}
    for (block, path), pair in loras.items():
        attention, _, part = path.removesuffix(".0").rpartition(".")
        name = f"unet.{block.diffusers}.{attention}.processor.{part}_lora"
        tensors |= dict(zip((f"{name}.down.weight", f"{name}.up.weight"), pair, strict=True))
    return tensors


def _spelled(loras, name, down, up):
    tensors = {}
    for (block, path), pair in loras.items():
        base = name.format(block.diffusers, path)
        tensors |= dict(zip((base + down, base + up), pair, strict=True))
    return tensors
