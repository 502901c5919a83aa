"""Cross-attention for training: prompts with counted rows, and an IP-Adapter's image tokens.

It takes the place of `CrossAttention.forward` on the class, as the WebUI's optimisations do. The
same numbers come out as from the plain attention over all 77 rows, and as from the extension's
hooks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tests.miniature.networks.attention import (
    CrossAttention,
    SpatialTransformer,
    _join_heads,
    _split_heads,
)

from .captions import Context


def _attend(layer: CrossAttention, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Written out: on a CPU this trains faster than the fused attention."""
    q, k, v = (_split_heads(t, layer.heads) for t in (q, k, v))
    scores = (q * layer.scale) @ k.transpose(2, 3)
    if bias is not None:
        scores = scores + bias
    return _join_heads(scores.softmax(dim=-1).to(v.dtype) @ v)


def counted_attention(
    self: CrossAttention, x: Tensor, context: Tensor | Context | None = None, **_
) -> Tensor:
    """Self-attention where there is no context, attention over a Context or plain rows else.

    A layer that an adapter was shown to (`image_term`, see Adapter.show) adds its term.
    """
    q = self.to_q(x)
    rows, bias = (
        (context.rows, context.log_counts) if isinstance(context, Context) else (context, None)
    )
    rows = x if rows is None else rows
    out = _attend(self, q, self.to_k(rows), self.to_v(rows), bias)
    if image_term := getattr(self, "image_term", None):
        k, v = image_term()
        out = out + _attend(self, q, k, v, None)
    return self.to_out(out)


def half_precision(self: SpatialTransformer, x: Tensor, context: Tensor | None = None) -> Tensor:
    """Matrices in bfloat16, of which a CPU multiplies several times as many; the rest stays."""
    with torch.autocast(x.device.type, torch.bfloat16):
        return _PLAIN(self, x, context).float()


_PLAIN = SpatialTransformer.forward


@contextmanager
def training_attention(half: bool = True) -> Iterator[None]:
    """`half`: multiply the transformers' matrices in half precision."""
    before = CrossAttention.forward
    CrossAttention.forward = counted_attention
    if half:
        SpatialTransformer.forward = half_precision
    try:
        yield
    finally:
        CrossAttention.forward = before
        SpatialTransformer.forward = _PLAIN
