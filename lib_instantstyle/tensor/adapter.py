"""IP-Adapter: from a CLIP image vector to image tokens, and from tokens to keys and values.

Source: Ye et al. 2023, arXiv 2308.06721; tencent-ailab/IP-Adapter.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from lib_instantstyle.pure.model_kinds import AdapterKind
from lib_instantstyle.tensor.files import fill, open_tensors

_PROJECTION_PARAMETERS = ("proj.weight", "proj.bias", "norm.weight", "norm.bias")


class LinearProjection(nn.Module):
    """One linear layer and a LayerNorm: image vectors [B, E] -> image tokens [B, T, C]."""

    def __init__(self, embedding_width: int, tokens: int, context_width: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.proj = nn.Linear(embedding_width, tokens * context_width)
        self.norm = nn.LayerNorm(context_width)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.norm(self.proj(vectors).view(len(vectors), self.tokens, -1))
        return tokens


def image_tokens(
    path: Path, kind: AdapterKind, vector: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Tokens for prompt rows and for negative-prompt rows: [2, T, C], float32.

    vector: [E], the reference's CLIP image vector. Negative rows get the projection of the zero
    vector, which is what the adapter saw in training where the picture was dropped; bias and
    LayerNorm make it something other than zero.
    """
    with torch.device("meta"):
        projection = LinearProjection(kind.embedding_width, kind.tokens, kind.context_width)
    with open_tensors(path) as read:
        tensors = {
            name: read(f"image_proj.{name}").to(device=device, dtype=torch.float32)
            for name in _PROJECTION_PARAMETERS
        }
    fill(projection, tensors, path.name)
    vector = vector.to(device=device, dtype=torch.float32)
    tokens: torch.Tensor = projection(torch.stack([vector, torch.zeros_like(vector)]))
    return tokens


def keys_and_values(
    path: Path, numbers: Iterable[int], tokens: torch.Tensor
) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """K and V of the layers `numbers`, each [S, T, h] in float32 for tokens [S, T, C].

    Only these layers are read from the file, and their weights are let go one after the other.
    """
    found = {}
    with open_tensors(path) as read:
        for number in numbers:
            key, value = (
                tokens @ read(f"ip_adapter.{number}.{end}.weight").to(tokens).T
                for end in ("to_k_ip", "to_v_ip")
            )
            found[number] = (key, value)
    return found
