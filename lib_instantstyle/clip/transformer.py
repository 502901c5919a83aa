"""The transformer block of CLIP's image and text encoders, and how a file fills an encoder.

Files come in two layouts, Hugging Face's and OpenCLIP's. An encoder is built on the meta device and
filled tensor by tensor, so that memory holds one copy of the weights at most.

Shapes: B batch, N tokens, W width, H heads. Source: Radford et al. 2021, arXiv 2103.00020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from lib_instantstyle.files.tensors import TensorReader, fill, open_tensors
from lib_instantstyle.models.clip_kind import HUGGING_FACE

AnyEncoder = TypeVar("AnyEncoder", bound=nn.Module)
Weights = Iterator[tuple[str, torch.Tensor]]
"""Pairs of a tensor's name in our module and the tensor as stored."""

MakeRoom = Callable[[int], None]
"""Called with the number of bytes that are put on the device next."""


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """OpenAI's approximation of GELU, which their CLIP weights were trained with."""
    return x * torch.sigmoid(1.702 * x)


class ClipSelfAttention(nn.Module):
    """Multi-head self-attention with biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, causal: bool = False) -> torch.Tensor:
        batch, tokens, width = x.shape
        q, k, v = (
            layer(x).view(batch, tokens, self.heads, -1).transpose(1, 2)  # [B, H, N, W / H]
            for layer in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        merged: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return merged


class TransformerBlock(nn.Module):
    """Pre-norm attention and MLP, each with a residual connection."""

    def __init__(self, width: int, heads: int, mlp_width: int, quick: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = ClipSelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, mlp_width)
        self.fc2 = nn.Linear(mlp_width, width)
        self._activation = quick_gelu if quick else F.gelu

    def forward(self, x: torch.Tensor, causal: bool = False) -> torch.Tensor:
        x = x + self.attention(self.norm1(x), causal)
        hidden: torch.Tensor = x + self.fc2(self._activation(self.fc1(self.norm2(x))))
        return hidden


_ENDS = ("weight", "bias")
_HUGGING_FACE = {  # name in TransformerBlock -> name in the file, behind the prefix of the block
    "norm1": "layer_norm1",
    "attention.q": "self_attn.q_proj",
    "attention.k": "self_attn.k_proj",
    "attention.v": "self_attn.v_proj",
    "attention.out": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}
_OPEN_CLIP = {
    "norm1": "ln_1",
    "attention.out": "attn.out_proj",
    "norm2": "ln_2",
    "fc1": "mlp.c_fc",
    "fc2": "mlp.c_proj",
}
_PACKED = "attn.in_proj_"  # OpenCLIP: rows of q, then k, then v in one tensor


def block_weights(
    read: TensorReader, layout: str, prefix: str
) -> Iterator[tuple[str, torch.Tensor]]:
    """Pairs (name in TransformerBlock, tensor as stored) of the block under `prefix`.

    The three parts of a packed tensor are views of it.
    """
    for ours, theirs in (_HUGGING_FACE if layout == HUGGING_FACE else _OPEN_CLIP).items():
        for end in _ENDS:
            yield f"{ours}.{end}", read(f"{prefix}{theirs}.{end}")
    if layout == HUGGING_FACE:
        return
    for end in _ENDS:
        parts = read(f"{prefix}{_PACKED}{end}").chunk(3)
        for name, part in zip("qkv", parts):
            yield f"attention.{name}.{end}", part


def take_room(size: int) -> None:
    """The MakeRoom for a device whose memory nobody manages: do nothing."""


def load_encoder(
    path: Path,
    encoder: AnyEncoder,
    weights: Callable[[TensorReader, int | None], Weights],
    device: torch.device,
    dtype: torch.dtype,
    make_room: MakeRoom = take_room,
) -> AnyEncoder:
    """Fill `encoder`, built on the meta device with its transformer in `blocks`, from `path`.

    weights(read, block): pairs (name in the encoder, tensor as stored) of one block, or, for None,
    of all that is in none. Raises InstantStyleError if a tensor is missing, misshapen or not
    finite.
    """
    numbers = sum(parameter.numel() for parameter in encoder.parameters())
    make_room(numbers * torch.empty((), dtype=dtype).element_size())
    tensors: dict[str, torch.Tensor] = {}
    blocks = encoder.get_submodule("blocks")
    assert isinstance(blocks, nn.ModuleList)
    # Weights that were made in inference mode and moved outside of it cannot be used inside again;
    # a WebUI that moves models about may do either.
    with torch.inference_mode(False), torch.no_grad(), open_tensors(path) as read:
        for block in (None, *range(len(blocks))):
            for name, tensor in weights(read, block):
                tensors[name] = tensor.to(device=device, dtype=dtype)
    fill(encoder, tensors, path.name)
    return encoder.eval()


def norm(read: TensorReader, ours: str, theirs: str) -> Weights:
    """Weight and bias of a LayerNorm."""
    for end in ("weight", "bias"):
        yield f"{ours}.{end}", read(f"{theirs}.{end}")
