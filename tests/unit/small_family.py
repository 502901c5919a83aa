"""The small models that paint, as they begin, and their files: training is not waited for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from tests.trained.adapter import ALL_BLOCKS, STYLE_BLOCKS, Adapter, ImageProjection
from tests.trained.base import Prompts, new_unet
from tests.trained.captions import ALL_CAPTIONS
from tests.trained.clip import EMBED_DIM, ImageTower, TextTower
from tests.trained.critic import Critic
from tests.trained.family import keep_weights, kept_weights, write_family
from tests.trained.judge import Judge


def in_half(module: nn.Module) -> nn.Module:
    """With weights that a float16 file holds exactly."""
    for parameter in module.parameters():
        parameter.data = parameter.data.half().float()
    return module.eval().requires_grad_(False)


def untrained(folder: Path) -> SimpleNamespace:
    """Networks and files of them. The UNet's last layer begins at zero in training: not here."""
    torch.manual_seed(0)
    unet, text, tower, judge = new_unet(), TextTower(), ImageTower(), Judge()
    nn.init.normal_(unet.out[2].weight, std=0.1)
    nn.init.normal_(text.block.attn.in_proj_bias, std=0.5)
    critic, adapter, style_adapter = (
        Critic(),
        *(
            Adapter(unet, ImageProjection(EMBED_DIM), blocks)
            for blocks in (ALL_BLOCKS, STYLE_BLOCKS)
        ),
    )
    networks = {"text": text, "judge": judge, "critic": critic, "image": tower, "base": unet}
    networks |= {"adapter": adapter, "style_adapter": style_adapter}
    for network in networks.values():
        in_half(network)
    keep_weights(networks, folder / "weights")
    weights = kept_weights(folder / "weights")
    write_family(weights, folder / "models")
    return SimpleNamespace(
        unet=unet,
        text=text,
        tower=tower,
        adapter=adapter,
        style_adapter=style_adapter,
        judges=(judge, critic),
        weights=weights,
        models=folder / "models",
        prompts=Prompts(text(list(ALL_CAPTIONS))),
    )
