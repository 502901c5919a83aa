"""Networks and adapters of real widths, with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn

from lib_instantstyle.layout import SDXL
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.unet.layers import CrossAttention, UnetLayers
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.units.presets import PRESETS
from tests.engine import layers_of
from tests.miniature.networks.to_diffusers import diffusers_config
from tests.miniature.networks.unet import SD15_TINY, SDXL_TINY, UNetConfig, UNetModel
from tests.units import Unit

STYLE = 6  # transformer index of SDXL's style block
SDXL_FULL = replace(
    SDXL_TINY,
    model_channels=320,
    channel_mult=(1, 2, 4),
    context_dim=2048,
    num_head_channels=64,
    adm_in_channels=2816,
)
SD15_FULL = replace(SD15_TINY, model_channels=320, channel_mult=(1, 2, 4, 4), context_dim=768)


class StyleBlock(nn.Module):
    """SDXL's style block alone, as diffusers builds it: 10 layers, width 1280 or `width`.

    Called as a UNet is: x [B, C, H, W], timesteps, context [B, L, 2048].
    """

    def __init__(self, width: int = 1280, context: int = 2048) -> None:
        super().__init__()
        self.transformer = Transformer2DModel(
            num_attention_heads=width // 64,
            attention_head_dim=64,
            in_channels=width,
            num_layers=10,
            cross_attention_dim=context,
            use_linear_projection=True,
        )
        self.width, self.context = width, context
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor, timesteps: Tensor | None, context: Tensor) -> Tensor:
        return self.transformer(x, encoder_hidden_states=context).sample

    def attentions(self) -> list[nn.Module]:
        return [block.attn2 for block in self.transformer.transformer_blocks]

    def layers(self) -> UnetLayers:
        """As find_layers would name them in a whole UNet."""
        found = {
            layer.number: CrossAttention(layer, module, self.width, self.width // 64)
            for layer, module in zip(layers_of(SDXL, STYLE), self.attentions())
        }
        return UnetLayers(SDXL, self.context, found)


def full_unet(config: UNetConfig, dtype: torch.dtype) -> UNetModel:
    """A whole UNet of real widths; random numbers as PyTorch initialises layers."""
    with _made_as(dtype):
        return UNetModel(config).eval().requires_grad_(False)


def diffusers_unet_of(config: UNetConfig, dtype: torch.dtype) -> UNet2DConditionModel:
    """The same as diffusers builds it."""
    with _made_as(dtype):
        return UNet2DConditionModel(**diffusers_config(config)).eval().requires_grad_(False)


@contextmanager
def _made_as(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Weights:
    """A random adapter in memory: to_k_ip and to_v_ip of some layers, and tokens of a reference."""

    def __init__(
        self, layers: UnetLayers, tokens: int = 4, seed: int = 0, dtype: torch.dtype | None = None
    ) -> None:
        torch.manual_seed(seed)
        context = layers.context_width
        scale = context**-0.5

        def random(*shape: int) -> Tensor:
            return torch.randn(*shape, dtype=dtype)

        self.layers = layers
        self.tokens = random(2, tokens, context)
        self.matrices = {
            number: tuple(random(found.width, context) * scale for _ in range(2))
            for number, found in layers.by_number.items()
        }

    def plan(self, unit: Unit = Unit()) -> Plan:  # noqa: B008
        """What our engine prepares once for a generation."""
        block_weights = PRESETS[unit.preset].block_weights(self.layers.layout, unit.weight)
        terms = []
        for number, found in self.layers.by_number.items():
            block_weight = block_weights.get(found.layer.block.index)
            if block_weight is not None:
                key, value = (self.tokens @ matrix.T for matrix in self.matrices[number])
                terms.append(attention_term(found.layer, block_weight, (key, value), unit, [1.0]))
        return Plan(tuple(terms))
