"""Keys and shapes of a tiny B-LoRA, as the B-LoRA repository writes it."""

from __future__ import annotations

from torch import nn

from ..networks import UNetConfig, UNetModel, unfilled
from .checkpoints import Shapes

RANK = 4
BLOCKS = {"up_blocks.0.attentions.0": (0, 1), "up_blocks.0.attentions.1": (1, 1)}  # content, style


def b_lora(cfg: UNetConfig) -> Shapes:
    """Two factors, [r, in] and [out, r], for each projection of both attentions in two blocks."""
    with unfilled():
        unet = UNetModel(cfg)
    shapes: Shapes = {}
    for block, (i, k) in BLOCKS.items():
        for path, module in unet.output_blocks[i][k].named_modules():
            if isinstance(module, nn.Linear) and (".attn1." in path or ".attn2." in path):
                name = f"unet.{block}.{path}.lora"
                shapes[f"{name}.down.weight"] = (RANK, module.in_features)
                shapes[f"{name}.up.weight"] = (module.out_features, RANK)
    return shapes
