"""The transformer block of CLIP, for image and text encoders alike.

Shapes: B batch, N tokens, W width, H heads. Source: Radford et al. 2021, arXiv 2103.00020.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


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
