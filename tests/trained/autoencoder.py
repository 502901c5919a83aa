"""An autoencoder in Stable Diffusion's layout that keeps the mean colour of every 8 x 8 pixels.

Nothing of it is trained: the weights are written down. Residual blocks and attention do nothing
(their last matrix is zero), the downsampling layers take means, the upsampling layers repeat. The
one obstacle on the way is GroupNorm and SiLU before the last layers. Each colour x travels in a
group of its own as (x, -x, K): the large constant rules the group's deviation, so that the norm
neither shifts nor scales x, and silu(x) - silu(-x) = x.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tests.miniature.networks import AutoencoderKL, VAEConfig, unfilled

from .base import COLOUR_STD

VAE = VAEConfig(ch=96)
SCALE_FACTOR = 0.13025  # of SDXL's latents
_COLOURS = 3
_K = 100.0
_MEAN_SQUARE = 0.5  # of colours in -1..1: the norm's deviation is exact for pictures of this one
_DEVIATION = (2 * _MEAN_SQUARE / 3 + 2 * _K**2 / 9) ** 0.5
_CERTAIN = -20.0  # log variance


def autoencoder_state() -> dict[str, Tensor]:
    """float32 weights of AutoencoderKL(VAE), without prefix."""
    with unfilled():
        shapes = AutoencoderKL(VAE).state_dict()
    state = {key: torch.zeros(tensor.shape) for key, tensor in shapes.items()}
    _spread(state, "encoder.conv_in")
    _spread(state, "decoder.conv_in")
    for key, weight in state.items():
        if key.endswith("downsample.conv.weight"):
            index = torch.arange(len(weight))
            weight[index, index, :2, :2] = 0.25
        elif key.endswith("upsample.conv.weight"):
            index = torch.arange(len(weight))
            weight[index, index, 1, 1] = 1
    _gather(state, "encoder")
    _gather(state, "decoder")
    latent_per_colour = 1 / (COLOUR_STD * SCALE_FACTOR)
    quant, post_quant = state["quant_conv.weight"], state["post_quant_conv.weight"]
    for colour in range(_COLOURS):
        quant[colour, colour] = latent_per_colour
        post_quant[colour, colour] = 1 / latent_per_colour
    state["quant_conv.bias"][VAE.embed_dim :] = _CERTAIN
    return state


def _spread(state: dict[str, Tensor], name: str) -> None:
    """Each colour to the three channels of its group."""
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    for colour in range(_COLOURS):
        weight[3 * colour, colour, 1, 1] = 1
        weight[3 * colour + 1, colour, 1, 1] = -1
        bias[3 * colour + 2] = _K


def _gather(state: dict[str, Tensor], name: str) -> None:
    """Through the last norm and SiLU back to colours."""
    scale, shift = state[f"{name}.norm_out.weight"], state[f"{name}.norm_out.bias"]
    weight = state[f"{name}.conv_out.weight"]
    for colour in range(_COLOURS):
        for channel, sign in ((3 * colour, 1), (3 * colour + 1, -1)):
            scale[channel] = _DEVIATION
            shift[channel] = _K / 3
            weight[colour, channel, 1, 1] = sign
