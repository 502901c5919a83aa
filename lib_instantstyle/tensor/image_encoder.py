"""CLIP image encoders: ViT-L/14, ViT-H/14, ViT-bigG/14 and whatever has their shape.

Built on the meta device and filled from the mapped file, so that no second copy of the weights
ever exists. Key layout: Hugging Face CLIPVisionModelWithProjection.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from lib_instantstyle.pure.model_kinds import TowerKind
from lib_instantstyle.tensor.files import fill, open_tensors
from lib_instantstyle.tensor.transformer import TransformerBlock

HEADS = 16  # in all three; the count is not stored in the files
QUICK_GELU_WIDTH = 1024  # ViT-L/14 by OpenAI; OpenCLIP's H and bigG use the exact GELU

_BLOCK_NAMES = {
    "norm1": "layer_norm1",
    "attention.q": "self_attn.q_proj",
    "attention.k": "self_attn.k_proj",
    "attention.v": "self_attn.v_proj",
    "attention.out": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}


class ImageEncoder(nn.Module):
    """A CLIP image tower with its projection.

    forward: pixels [B, 3, S, S] -> image vector [B, E], as projected, not normalised to length 1.
    """

    def __init__(self, kind: TowerKind) -> None:
        super().__init__()
        tokens = (kind.image_size // kind.patch) ** 2 + 1
        quick = kind.width == QUICK_GELU_WIDTH
        self.class_embedding = nn.Parameter(torch.empty(kind.width))
        self.patches = nn.Conv2d(3, kind.width, kind.patch, kind.patch, bias=False)
        self.positions = nn.Parameter(torch.empty(tokens, kind.width))
        self.norm_in = nn.LayerNorm(kind.width)
        self.blocks = nn.ModuleList(
            TransformerBlock(kind.width, HEADS, kind.mlp_width, quick) for _ in range(kind.layers)
        )
        self.norm_out = nn.LayerNorm(kind.width)
        self.projection = nn.Linear(kind.width, kind.embedding_width, bias=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.patches(pixels).flatten(2).transpose(1, 2)  # [B, patches, W]
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1) + self.positions
        x = self.norm_in(x)
        for block in self.blocks:
            x = block(x)
        vector: torch.Tensor = self.projection(self.norm_out(x[:, 0]))
        return vector


def file_names(layers: int) -> Iterator[tuple[str, str]]:
    """Pairs (name here, name in a Hugging Face file) of every parameter."""
    head = "vision_model.embeddings"
    yield "class_embedding", f"{head}.class_embedding"
    yield "patches.weight", f"{head}.patch_embedding.weight"
    yield "positions", f"{head}.position_embedding.weight"
    for ours, theirs in (("norm_in", "pre_layrnorm"), ("norm_out", "post_layernorm")):
        for end in ("weight", "bias"):
            yield f"{ours}.{end}", f"vision_model.{theirs}.{end}"
    for i in range(layers):
        for ours, theirs in _BLOCK_NAMES.items():
            for end in ("weight", "bias"):
                yield f"blocks.{i}.{ours}.{end}", f"vision_model.encoder.layers.{i}.{theirs}.{end}"
    yield "projection.weight", "visual_projection.weight"


def load_image_encoder(
    path: Path, kind: TowerKind, device: torch.device, dtype: torch.dtype
) -> ImageEncoder:
    """Build the encoder in `path` on `device`.

    Raises InstantStyleError if a tensor is missing, misshapen or not finite.
    """
    with torch.device("meta"):
        encoder = ImageEncoder(kind)
    with open_tensors(path) as read:
        tensors = {
            ours: read(theirs).to(device=device, dtype=dtype)
            for ours, theirs in file_names(kind.layers)
        }
    # Hugging Face stores the class embedding with one dimension, some converters with three.
    tensors["class_embedding"] = tensors["class_embedding"].flatten()
    fill(encoder, tensors, path.name)
    return encoder.eval()
