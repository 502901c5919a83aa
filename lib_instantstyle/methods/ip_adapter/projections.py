"""IP-Adapter files: from image embeds to image tokens [B, T, C], and on to keys and values.

The modules have the names of the tensors in the files, so a file fills them as it is.
Shapes: B batch, N hidden states, W their width, T tokens, C context width, H heads.
Sources: Ye et al. 2023, arXiv 2308.06721, tencent-ailab/IP-Adapter; the Resampler is Flamingo's
(arXiv 2204.14198) with the queries among the keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from lib_instantstyle.clip.unfilled import unfilled
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.files.tensors import check_range, fill, largest_of, open_tensors
from lib_instantstyle.models.adapter_kind import (
    AdapterKind,
    LinearShape,
    MlpShape,
    ProjectionShape,
    ResamplerShape,
)
from lib_instantstyle.models.adapter_names import adapter_names
from lib_instantstyle.stages import ADAPTER, KEYS_AND_VALUES, TOKENS

# Names of tensors in adapter files.
PROJECTED, LAYER_WEIGHT = "image_proj.{}", "ip_adapter.{}.{}.weight"
ENDS = ("to_k_ip", "to_v_ip")


class LinearProjection(nn.Module):
    """One linear layer and a LayerNorm: image vectors [B, E] -> [B, T, C]."""

    def __init__(self, shape: LinearShape) -> None:
        super().__init__()
        self.tokens = shape.tokens
        self.proj = nn.Linear(shape.feature_width, shape.tokens * shape.output_width)
        self.norm = nn.LayerNorm(shape.output_width)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.norm(self.proj(vectors).view(len(vectors), self.tokens, -1))
        return tokens


class MlpProjection(nn.Module):
    """Two linear layers and a LayerNorm on each hidden state: [B, N, W] -> [B, N, C]."""

    def __init__(self, shape: MlpShape) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            nn.Linear(shape.feature_width, shape.inner_width),
            nn.GELU(),
            nn.Linear(shape.inner_width, shape.output_width),
            nn.LayerNorm(shape.output_width),
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.proj(hidden)
        return tokens


class QueryAttention(nn.Module):
    """Learned queries [B, T, W'] attend to hidden states [B, N, W'] and to themselves."""

    def __init__(self, width: int, inner_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)  # of the hidden states
        self.norm2 = nn.LayerNorm(width)  # of the queries
        self.to_q = nn.Linear(width, inner_width, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner_width, bias=False)  # rows of K, then rows of V
        self.to_out = nn.Linear(inner_width, width, bias=False)

    def forward(self, hidden: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        queries = self.norm2(queries)
        tokens = torch.cat([self.norm1(hidden), queries], dim=1)  # [B, N + T, W']
        key, value = self.to_kv(tokens).chunk(2, dim=-1)
        q, k, v = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, tokens, W' / H]
            for x in (self.to_q(queries), key, value)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        found: torch.Tensor = self.to_out(mixed)
        return found


class ResamplerLayer(nn.ModuleList):
    """Attention and feed-forward, each with a residual connection."""

    def __init__(self, shape: ResamplerShape) -> None:
        attention = QueryAttention(shape.width, shape.inner_width, shape.heads)
        feed_forward = nn.Sequential(
            nn.LayerNorm(shape.width),
            nn.Linear(shape.width, shape.mlp_width, bias=False),
            nn.GELU(),
            nn.Linear(shape.mlp_width, shape.width, bias=False),
        )
        super().__init__([attention, feed_forward])

    def forward(self, hidden: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        attention, feed_forward = self
        queries = queries + attention(hidden, queries)
        result: torch.Tensor = queries + feed_forward(queries)
        return result


class Resampler(nn.Module):
    """Learned queries attend to hidden states, in several layers: [B, N, W] -> [B, T, C]."""

    def __init__(self, shape: ResamplerShape) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.empty(1, shape.tokens, shape.width))
        self.proj_in = nn.Linear(shape.feature_width, shape.width)
        self.layers = nn.ModuleList(ResamplerLayer(shape) for _ in range(shape.depth))
        self.proj_out = nn.Linear(shape.width, shape.output_width)
        self.norm_out = nn.LayerNorm(shape.output_width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = self.proj_in(hidden)
        queries = self.latents.expand(len(hidden), -1, -1)
        for layer in self.layers:
            queries = layer(hidden, queries)
        tokens: torch.Tensor = self.norm_out(self.proj_out(queries))
        return tokens


def build_projection(shape: ProjectionShape) -> nn.Module:
    """The module for `shape`, its parameters not yet filled."""
    if isinstance(shape, LinearShape):
        return LinearProjection(shape)
    if isinstance(shape, MlpShape):
        return MlpProjection(shape)
    return Resampler(shape)


def image_tokens(
    path: Path,
    kind: AdapterKind,
    features: torch.Tensor,
    device: torch.device,
    sizes: Sequence[int] | None = None,
) -> torch.Tensor:
    """The image tokens of `features`: [S, T, C] in float32, on `device`.

    features: image embeds [S, E] or [S, N, W] (see vectors.ImageEmbeds.features). sizes: of parts
    of S that are computed apart, so that no bit of one depends on the others. The tokens of the
    zero vector or the zero image are not zero, because of biases and LayerNorm.
    Raises InstantStyleError if a tensor of the file is missing, misshapen or not finite,
    or leads to numbers that are not.
    """
    with TOKENS:
        with unfilled():
            projection = build_projection(kind.projection)
        with ADAPTER, open_tensors(path, adapter_names) as read:
            tensors = {
                name: read(PROJECTED.format(name)).to(device=device, dtype=torch.float32)
                for name, _ in projection.named_parameters()
            }
        check_range(largest_of(*tensors.values()), path.name)
        fill(projection, tensors, path.name)
        parts = _parts(features.to(device=device, dtype=torch.float32), sizes)
        tokens = torch.cat([projection(part) for part in parts])
        check_range(largest_of(tokens), path.name)
        return tokens


def keys_and_values(
    path: Path, numbers: Iterable[int], tokens: torch.Tensor, sizes: Sequence[int] | None = None
) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values of the layers `numbers`, each [S, T, h] in float32, for tokens [S, T, C].

    sizes: see `image_tokens`. Only these layers are read from the file, and one layer's weights are
    in memory at a time.
    """
    found, parts = {}, _parts(tokens, sizes)
    with ADAPTER, open_tensors(path, adapter_names) as read:
        for number in numbers:
            key, value = (_products(parts, read(LAYER_WEIGHT.format(number, end))) for end in ENDS)
            found[number] = (key, value)
    return found


def _parts(stack: torch.Tensor, sizes: Sequence[int] | None) -> Sequence[torch.Tensor]:
    return torch.split(stack, list(sizes or [len(stack)]))


def _products(parts: Sequence[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    with KEYS_AND_VALUES:
        matrix = weight.to(parts[0]).T
        return torch.cat([part @ matrix for part in parts])


def bytes_to_read(path: Path, kind: AdapterKind, numbers: Iterable[int]) -> tuple[int, int]:
    """How many bytes of the adapter in `path` its projection has, and the layers `numbers`.

    Only the file's header is read. Raises InstantStyleError or OSError.
    """
    tensors = read_tensors(path)
    names = adapter_names(tensors)

    def size(name: str) -> int:
        return tensors[names[name]].bytes if name in names else 0

    with unfilled():
        projection = build_projection(kind.projection)
    first = sum(size(PROJECTED.format(name)) for name, _ in projection.named_parameters())
    return first, sum(size(LAYER_WEIGHT.format(n, end)) for n in numbers for end in ENDS)
