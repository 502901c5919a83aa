"""Seeded random weights at a scale at which an untrained network still reacts to its inputs."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping

import torch
from torch import Tensor

# First match wins. The number multiplies 1/sqrt(fan in) for matrices; embeddings and single
# vectors take it as their standard deviation. Cross-attention is louder than its neighbours, so
# that the text, and an image prompt, are plainly visible in a picture. Self-attention and
# feed-forward are quiet: at full strength seventy layers amplify a rounding error to full size.
GAINS: tuple[tuple[str, float], ...] = (
    (r"(^|\.)to_[qk]\.weight$", 1.2),
    (r"(^|\.)to_[kv]_ip\.weight$", 1.5),
    (r"\.attn1\.to_out\.0\.weight$", 0.4),
    (r"\.attn2\.to_out\.0\.weight$", 1.3),
    (r"\.ff\.net\.2\.weight$", 0.4),
    (r"\.emb_layers\.1\.weight$", 2.0),
    (r"^first_stage_model\.decoder\.conv_out\.weight$", 0.8),
    (r"^first_stage_model\.encoder\.conv_out\.weight$", 10.0),  # latents of about unit size
    (r"^model\.diffusion_model\.out\.2\.weight$", 1.5),
    # Text hidden states reach the UNet as they are: these keep their standard deviation near 1.
    (r"token_embedding\.weight$", 0.35),
    (r"(positional_embedding|text_model.*position_embedding\.weight)$", 0.1),
    (r"text_model\.encoder.*\.(out_proj|fc2)\.weight$", 0.35),
    (r"\.resblocks\..*\.(out_proj|c_proj)\.weight$", 0.3),
    (r"class_embedding$|position_embedding\.weight$", 0.3),
    (r"patch_embedding\.weight$", 2.0),
    (r"self_attn\.[vq]_proj\.weight$", 1.5),
    (r"self_attn\.(k|out)_proj\.weight$", 1.5),
    (r"", 1.0),
)
_EMBEDDING = re.compile(r"(token_|position_)?embedding\.weight$|positional_embedding$|class_embed")
_RIGHT_FACTOR = re.compile(r"text_projection$")  # stored [in, out], applied as x @ W
_NORM = re.compile(
    r"norm|ln_|layers\.\d+\.1\.0\.|layer_norm|layrnorm|(in|out)_layers\.0\.|\.out\.0\."
)


def gain(key: str) -> float:
    return next(value for pattern, value in GAINS if re.search(pattern, key))


def random_tensor(key: str, shape: tuple[int, ...], seed: int, stream: str) -> Tensor:
    """float32 tensor that depends on (seed, stream, key) only.

    Uniform, not normal: the bits then come from the generator alone and are the same on every
    processor, while normal numbers pass through its logarithm.
    """
    if key.endswith("logit_scale"):
        return torch.tensor(math.log(1 / 0.07))
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{stream}/{key}".encode()))
    values = torch.empty(shape).uniform_(-1.0, 1.0, generator=generator)
    if len(shape) < 2 and not _EMBEDDING.search(key):
        is_scale = key.endswith("weight") and _NORM.search(key)
        return values * 0.2 + 1.0 if is_scale else values * 0.1
    std = gain(key)
    if not _EMBEDDING.search(key) or "patch_embedding" in key:
        fan_in = shape[0] if _RIGHT_FACTOR.search(key) else math.prod(shape[1:])
        std *= fan_in**-0.5
    return values * (math.sqrt(3.0) * std)


def settle_variance(state: dict[str, Tensor]) -> None:
    """Make a checkpoint's image encoder nearly certain, in place: variance about exp(-10).

    The second half of quant_conv is a log variance. Left at random it reaches exp(10), and a WebUI
    that samples from the encoder (SD1.5's way) would hand out noise instead of the picture.
    """
    weight = state.get("first_stage_model.quant_conv.weight")
    if weight is None:
        return
    half = len(weight) // 2
    weight[half:] *= 0.02
    state["first_stage_model.quant_conv.bias"][half:] -= 10.0


def random_state(
    shapes: Mapping[str, tuple[int, ...]],
    seed: int,
    stream: str,
    dtype: torch.dtype = torch.float16,
) -> dict[str, Tensor]:
    """One tensor per key, in the order of `shapes`."""
    state = {key: random_tensor(key, tuple(shape), seed, stream) for key, shape in shapes.items()}
    settle_variance(state)
    return {key: tensor.to(dtype) for key, tensor in state.items()}
