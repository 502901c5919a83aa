"""Cross-attention and the transformer around it, under the names and keys of ldm and sgm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, N, heads * d] -> [B, heads, N, d]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _join_heads(x: Tensor) -> Tensor:
    """[B, heads, N, d] -> [B, N, heads * d]."""
    return x.transpose(1, 2).flatten(2)


def _project(layer: CrossAttention, x: Tensor, context: Tensor | None) -> tuple[Tensor, ...]:
    context = x if context is None else context
    return layer.to_q(x), layer.to_k(context), layer.to_v(context)


def attention_plain(
    self: CrossAttention, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None, **_
) -> Tensor:
    """One large softmax; calls the output projection as one container, `to_out(...)`."""
    q, k, v = (_split_heads(t, self.heads) for t in _project(self, x, context))
    scores = q @ k.transpose(-1, -2) * self.scale
    if mask is not None:
        scores = scores.masked_fill(~mask.flatten(1)[:, None, None], -torch.finfo(q.dtype).max)
    return self.to_out(_join_heads(scores.softmax(dim=-1) @ v))


def attention_sdp(
    self: CrossAttention, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None, **_
) -> Tensor:
    """PyTorch's fused attention; reaches into the container, `to_out[0]` and then `to_out[1]`."""
    q, k, v = (_split_heads(t, self.heads) for t in _project(self, x, context))
    bias = None if mask is None else mask.flatten(1)[:, None, None]
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return self.to_out[1](self.to_out[0](_join_heads(out)))


ATTENTIONS: dict[str, Callable[..., Tensor]] = {"plain": attention_plain, "sdp": attention_sdp}


class CrossAttention(nn.Module):
    """Attention of x over `context`, or over itself. x [B, N, D], context [B, S, C] -> [B, N, D].

    `forward` is meant to be replaced on the class (see `use_attention`): that is how the WebUI
    switches its attention optimisation, and every layer of a loaded model must follow at once.
    """

    def __init__(self, query_dim: int, context_dim: int | None, heads: int, dim_head: int) -> None:
        super().__init__()
        inner = heads * dim_head
        context_dim = query_dim if context_dim is None else context_dim
        self.heads = heads
        self.scale = dim_head**-0.5
        self.to_q = nn.Linear(query_dim, inner, bias=False)
        self.to_k = nn.Linear(context_dim, inner, bias=False)
        self.to_v = nn.Linear(context_dim, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, query_dim), nn.Dropout(0.0))

    forward = attention_plain


def use_attention(name: str) -> None:
    """Switch the attention of every layer of every loaded model: one of `ATTENTIONS`."""
    if name not in ATTENTIONS:
        raise ValueError(f"unknown attention {name!r}, expected one of {sorted(ATTENTIONS)}")
    CrossAttention.forward = ATTENTIONS[name]


@contextmanager
def attention_by(name: str) -> Iterator[None]:
    """`use_attention`, and inside what is written under it alone."""
    before = CrossAttention.forward
    use_attention(name)
    try:
        yield
    finally:
        CrossAttention.forward = before


class GEGLU(nn.Module):
    """Gated GELU: one projection gives value and gate. [.., D] -> [.., 4 D]."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(dim, 4 * dim), nn.Dropout(0.0), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class BasicTransformerBlock(nn.Module):
    """Self-attention (attn1), attention to the prompt (attn2), feed-forward; each residual."""

    def __init__(self, dim: int, heads: int, dim_head: int, context_dim: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(dim, None, heads, dim_head)
        self.ff = FeedForward(dim)
        self.attn2 = CrossAttention(dim, context_dim, heads, dim_head)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.attn1(self.norm1(x)) + x
        x = self.attn2(self.norm2(x), context=context) + x
        return self.ff(self.norm3(x)) + x


class SpatialTransformer(nn.Module):
    """Transformer blocks over the pixels of a feature map, with a residual around them all.

    SD1.5 projects in and out with 1x1 convolutions, SD2 and SDXL with linear layers.
    """

    def __init__(
        self, channels: int, heads: int, dim_head: int, depth: int, context_dim: int, linear: bool
    ) -> None:
        super().__init__()
        inner = heads * dim_head
        self.use_linear = linear
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, inner) if linear else nn.Conv2d(channels, inner, 1)
        self.transformer_blocks = nn.ModuleList(
            BasicTransformerBlock(inner, heads, dim_head, context_dim) for _ in range(depth)
        )
        self.proj_out = nn.Linear(inner, channels) if linear else nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """x [B, C, H, W], context [B, S, context_dim] -> [B, C, H, W]."""
        height, width = x.shape[-2:]
        h = self.norm(x)
        if not self.use_linear:
            h = self.proj_in(h)
        h = h.flatten(2).transpose(1, 2)
        if self.use_linear:
            h = self.proj_in(h)
        for block in self.transformer_blocks:
            h = block(h, context=context)
        if self.use_linear:
            h = self.proj_out(h)
        h = h.transpose(1, 2).unflatten(2, (height, width))
        if not self.use_linear:
            h = self.proj_out(h)
        return h + x
