"""CLIP image encoders: ViT-L/14, ViT-H/14, ViT-bigG/14 and whatever has their shape.

Built on the meta device and filled tensor by tensor, so that no second copy of the weights ever
exists. What a use does not need is not read: the text half of a full CLIP file, and for
hidden states the last block and the projection.
Source: Radford et al. 2021, arXiv 2103.00020; transformers and OpenCLIP for the two layouts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import nn

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
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.files.tensors import TensorReader, open_tensors
from lib_instantstyle.models.clip_kind import HUGGING_FACE, OPEN_CLIP, ImageEncoderKind

QUICK_GELU_WIDTH = 1024  # ViT-L/14 by OpenAI; OpenCLIP's H and bigG use the exact GELU


class ImageEncoder(nn.Module):
    """A CLIP image encoder.

    forward: pixels [B, 3, S, S] -> image vector [B, E], as projected, not normalised to length 1;
    or, built for hidden states, [B, N, W]: what leaves the last block but one, class token first,
    without a final norm.
    """

    def __init__(self, kind: ImageEncoderKind, hidden_states: bool = False) -> None:
        super().__init__()
        tokens = (kind.image_size // kind.patch) ** 2 + 1
        quick = kind.width == QUICK_GELU_WIDTH
        self.class_embedding = nn.Parameter(torch.empty(kind.width))
        self.patches = nn.Conv2d(3, kind.width, kind.patch, kind.patch, bias=False)
        self.positions = nn.Parameter(torch.empty(tokens, kind.width))
        self.norm_in = nn.LayerNorm(kind.width)
        self.blocks = nn.ModuleList(
            TransformerBlock(kind.width, kind.heads, kind.mlp_width, quick)
            for _ in range(kind.layers - 1 if hidden_states else kind.layers)
        )
        self.head: nn.Module | None = None
        if not hidden_states:
            self.head = nn.Sequential(
                nn.LayerNorm(kind.width), nn.Linear(kind.width, kind.embedding_width, bias=False)
            )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.patches(pixels).flatten(2).transpose(1, 2)  # [B, patches, W]
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1) + self.positions
        hidden: torch.Tensor = self.norm_in(x)
        for block in self.blocks:
            hidden = block(hidden)
        if self.head is None:
            return hidden
        vector: torch.Tensor = self.head(hidden[:, 0])
        return vector


def load_image_encoder(
    path: Path,
    kind: ImageEncoderKind,
    device: torch.device,
    dtype: torch.dtype,
    hidden_states: bool = False,
    make_room: MakeRoom = take_room,
) -> ImageEncoder:
    """Build the encoder in `path` on `device`, for image vectors or for hidden states.

    Raises InstantStyleError if a tensor is missing, misshapen or not finite.
    """
    if not hidden_states and not kind.embedding_width:
        raise InstantStyleError(
            f"{path.name} has no projection to an image vector; a CLIP image encoder with one is "
            "needed."
        )
    with unfilled():
        encoder = ImageEncoder(kind, hidden_states)
    weights = partial(_weights, layout=kind.layout, with_head=not hidden_states)
    return load_encoder(path, encoder, weights, device, dtype, make_room)


def bytes_to_read(path: Path, kind: ImageEncoderKind, hidden_states: bool) -> int:
    """How many bytes of `path` `load_image_encoder` reads as weights.

    Only the file's header is read. Raises InstantStyleError or OSError.
    """
    tensors, sizes = read_tensors(path), []

    def read(name: str) -> torch.Tensor:
        info = tensors.get(name)
        sizes.append(info.bytes if info else 0)
        return torch.empty(info.shape if info else (1, 1), device="meta")

    for block in (None, *range(kind.layers - int(hidden_states))):
        for _ in _weights(cast(TensorReader, read), block, kind.layout, not hidden_states):
            pass
    return sum(sizes)


def class_embedding(path: Path, kind: ImageEncoderKind) -> torch.Tensor:
    """The class embedding of the encoder in `path`: [W], as stored. Nothing else is read."""
    with open_tensors(path) as read:
        return _class_embedding(read, kind.layout)


@dataclass(frozen=True)
class _Names:
    """How a layout names what is not in a block."""

    class_embedding: str
    patches: str
    positions: str
    norm_in: str
    block: str
    norm_out: str
    projection: str


_NAMES = {
    HUGGING_FACE: _Names(
        "vision_model.embeddings.class_embedding",
        "vision_model.embeddings.patch_embedding.weight",
        "vision_model.embeddings.position_embedding.weight",
        "vision_model.pre_layrnorm",  # the misspelling is theirs
        "vision_model.encoder.layers.{}.",
        "vision_model.post_layernorm",
        "visual_projection.weight",
    ),
    OPEN_CLIP: _Names(
        "visual.class_embedding",
        "visual.conv1.weight",
        "visual.positional_embedding",
        "visual.ln_pre",
        "visual.transformer.resblocks.{}.",
        "visual.ln_post",
        "visual.proj",
    ),
}


def _weights(read: TensorReader, block: int | None, layout: str, with_head: bool) -> Weights:
    """Pairs (name in ImageEncoder, tensor as stored) of one block, or of all that is in none."""
    names = _NAMES[layout]
    if block is not None:
        for name, tensor in block_weights(read, layout, names.block.format(block)):
            yield f"blocks.{block}.{name}", tensor
        return
    yield "class_embedding", _class_embedding(read, layout)
    yield "patches.weight", read(names.patches)
    yield "positions", read(names.positions)
    yield from norm(read, "norm_in", names.norm_in)
    if with_head:
        yield from norm(read, "head.0", names.norm_out)
        projection = read(names.projection)
        yield "head.1.weight", projection if layout == HUGGING_FACE else projection.T


def _class_embedding(read: TensorReader, layout: str) -> torch.Tensor:
    """Hugging Face stores it with one dimension, some converters with three."""
    return read(_NAMES[layout].class_embedding).flatten()
