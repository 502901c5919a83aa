"""The weights of one transformer block, read from either layout that CLIP comes in.

The same names serve image and text encoders; only what stands before them differs.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lib_instantstyle.pure.image_encoder_kind import HUGGING_FACE
from lib_instantstyle.tensor.files import TensorReader

_ENDS = ("weight", "bias")
_HUGGING_FACE = {
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
