"""Self-attention shared with a reference picture: StyleAligned and Visual Style Prompting.

The reference stands at the same noise level as the picture under way; its queries, keys and values
are captured in a UNet call of its own (see self_attention.py) and placed in the picture's.

Shapes: B rows, N tokens, h width, H heads; the reference has one row.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from lib_instantstyle.tensor.self_attention import ATTENDED, KEY, QUERY, VALUE, Features
from lib_instantstyle.tensor.statistics import adain

# Transformer indices. StyleAligned shares every layer. Swapping: up_blocks.1, as published for
# SDXL; SD1.5 (no part of the paper): the layers of its decoder with as many tokens, up_blocks.3.
SHARED_BLOCKS: dict[str, Collection[int]] = {"sd15": range(16), "sdxl": range(11)}
SWAPPED_BLOCKS: dict[str, Collection[int]] = {"sd15": range(13, 16), "sdxl": range(8, 11)}

_ADDED_VARIANCE = 1e-5


@dataclass(frozen=True)
class Sharing:
    """StyleAligned's numbers; the defaults are those for a reference picture from a file."""

    scale: float = 1.0  # of the reference's keys
    shift: float = math.log(2)  # added to the logits of the reference: higher is closer to it
    adain: float = 1.0  # share of the reference's statistics in queries and keys


class StyleAligned:
    """Attention to a picture's own tokens and to those of the reference, in one softmax.

    Source: Hertz et al., "Style Aligned Image Generation via Shared Attention", arXiv 2312.02133,
    https://github.com/google/style-aligned. Group and layer norms are not shared.

    A shift cannot be brought about with keys and values. With one, attention is computed here
    and not by the WebUI, whose own gets a single key to be done with it quickly.
    """

    def __init__(self, reference: Features, heads: Sequence[int], sharing: Sharing) -> None:
        """heads: H of each layer."""
        self._reference = reference
        self._heads = heads
        self._sharing = sharing
        self._seen: dict[str, torch.Tensor] = {}  # of the layer under way

    def act(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor | None:
        """See self_attention.Act."""
        if part == ATTENDED:
            return self._attend(number) if self._sharing.shift else None
        shared = self._shared(number, part, x)
        if not self._sharing.shift:
            return shared
        self._seen[part] = shared
        return x if part == QUERY else x[:, :1]

    def _shared(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor:
        """Queries with the reference's statistics; keys and values with the reference's behind."""
        reference = self._reference[number, part].to(x.dtype)
        if part != VALUE and self._sharing.adain:
            x = torch.lerp(x, adain(x, reference, (1,), _ADDED_VARIANCE), self._sharing.adain)
        if part == QUERY:
            return x
        if part == KEY:
            reference = reference * self._sharing.scale
        return torch.cat([x, reference.expand(len(x), -1, -1)], dim=1)

    def _attend(self, number: int) -> torch.Tensor:
        parts = (self._seen.pop(part) for part in (QUERY, KEY, VALUE))
        query, key, value = (_split(x, self._heads[number]) for x in parts)
        bias = key.new_zeros(key.shape[2])
        bias[-self._reference[number, KEY].shape[1] :] = self._sharing.shift
        attended = F.scaled_dot_product_attention(query, key, value, bias[None])
        return attended.transpose(1, 2).flatten(2)


class Swapped:
    """Attention to the tokens of the reference instead of a picture's own.

    Source: Jeong et al., "Visual Style Prompting with Swapping Self-Attention", arXiv 2402.12974,
    https://github.com/naver-ai/Visual-Style-Prompting.
    """

    def __init__(self, reference: Features) -> None:
        """reference: keys and values."""
        self._reference = reference

    def act(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor | None:
        """See self_attention.Act."""
        if part not in (KEY, VALUE):
            return None
        return self._reference[number, part].to(x.dtype).expand(len(x), -1, -1).contiguous()


def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
    """[B, N, h] -> [B, H, N, h / H]"""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)
