"""CLIP text encoders from files: the other half of ViT-L/14, ViT-H/14 and ViT-bigG/14.

Built and filled as the image encoders are (see image_encoder.py); the image half of a full CLIP
file is not read. Source: Radford et al. 2021, arXiv 2103.00020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from lib_instantstyle.clip.transformer import (
    MakeRoom,
    TransformerBlock,
    Weights,
    block_weights,
    load_encoder,
    norm,
    take_room,
)
from lib_instantstyle.clip.unfilled import unfilled
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.tensors import TensorReader
from lib_instantstyle.models.clip_kind import HUGGING_FACE, OPEN_CLIP, VOCABULARY, TextEncoderKind

QUICK_GELU_WIDTH = 768  # ViT-L/14 by OpenAI; OpenCLIP's H and bigG use the exact GELU
START, END, PADDING = 49406, 49407, 0  # token ids
MAX_TOKENS = 75  # between start and end


class TextEncoder(nn.Module):
    """A CLIP text encoder.

    forward: token ids [B, N] and the position [B] of each end token -> text vectors [B, E], as
    projected, not normalised to length 1. Attention is causal, so tokens after the end token have
    no effect.
    """

    def __init__(self, kind: TextEncoderKind) -> None:
        super().__init__()
        quick = kind.width == QUICK_GELU_WIDTH
        # Not nn.Embedding, which draws numbers even on the meta device: for that torch imports its
        # whole compiler, a second and seventy megabytes.
        self.tokens = nn.Parameter(torch.empty(VOCABULARY, kind.width))
        self.positions = nn.Parameter(torch.empty(kind.positions, kind.width))
        self.blocks = nn.ModuleList(
            TransformerBlock(kind.width, kind.heads, kind.mlp_width, quick)
            for _ in range(kind.layers)
        )
        self.norm_out = nn.LayerNorm(kind.width)
        self.projection = nn.Linear(kind.width, kind.embedding_width, bias=False)

    def forward(self, ids: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = F.embedding(ids, self.tokens) + self.positions[: ids.shape[1]]
        for block in self.blocks:
            hidden = block(hidden, causal=True)
        pooled = hidden[torch.arange(len(ids), device=ids.device), ends]
        vectors: torch.Tensor = self.projection(self.norm_out(pooled))
        return vectors

    def encode(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Text vectors [B, E], float32, on the CPU, of texts given as plain token ids."""
        longest = max(map(len, texts))
        rows = [[START, *ids, END, *[PADDING] * (longest - len(ids))] for ids in texts]
        device = self.positions.device
        ends = torch.tensor([len(ids) + 1 for ids in texts], device=device)
        vectors: torch.Tensor = self(torch.tensor(rows, device=device), ends)
        return vectors.float().cpu()


def load_text_encoder(
    path: Path,
    kind: TextEncoderKind,
    device: torch.device,
    dtype: torch.dtype,
    make_room: MakeRoom = take_room,
) -> TextEncoder:
    """Build the text encoder in `path` on `device`.

    Raises InstantStyleError if a tensor is missing, misshapen or not finite.
    """
    if not kind.embedding_width:
        raise InstantStyleError(
            f"{path.name} has no projection to a text vector; a CLIP text encoder with one is "
            "needed."
        )
    with unfilled():
        encoder = TextEncoder(kind)
    weights = partial(_weights, layout=kind.layout)
    return load_encoder(path, encoder, weights, device, dtype, make_room)


def check_length(content: str, ids: Sequence[int]) -> None:
    """Raise InstantStyleError if a content text has more token ids than one chunk holds.

    Its text vector is that of one chunk; a second one would have no effect.
    """
    if len(ids) > MAX_TOKENS:
        raise InstantStyleError(
            f"content {shorten(content)} has {len(ids)} tokens; up to {MAX_TOKENS} are allowed."
        )


@dataclass(frozen=True)
class _Names:
    """How a layout names what is not in a block."""

    tokens: str
    positions: str
    block: str
    norm_out: str
    projection: str


_NAMES = {
    HUGGING_FACE: _Names(
        "text_model.embeddings.token_embedding.weight",
        "text_model.embeddings.position_embedding.weight",
        "text_model.encoder.layers.{}.",
        "text_model.final_layer_norm",
        "text_projection.weight",
    ),
    OPEN_CLIP: _Names(
        "token_embedding.weight",
        "positional_embedding",
        "transformer.resblocks.{}.",
        "ln_final",
        "text_projection",
    ),
}


def _weights(read: TensorReader, block: int | None, layout: str) -> Weights:
    """Pairs (name in TextEncoder, tensor as stored) of one block, or of all that is in none."""
    names = _NAMES[layout]
    if block is not None:
        for name, tensor in block_weights(read, layout, names.block.format(block)):
            yield f"blocks.{block}.{name}", tensor
        return
    yield "tokens", read(names.tokens)
    yield "positions", read(names.positions)
    yield from norm(read, "norm_out", names.norm_out)
    projection = read(names.projection)
    yield "projection.weight", projection if layout == HUGGING_FACE else projection.T
