"""Self-attention shared with a reference picture: StyleAligned and Visual Style Prompting.

The reference has the same noise level as the pictures that are sampled. Its queries, keys and
values are captured in a UNet call of its own (see unet/self_attention.py), or they are those of the
first picture of the batch, which is in the same call.

Shapes: B rows, N tokens, h width, H heads.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.group_norms import Moments
from lib_instantstyle.unet.inversion import adain
from lib_instantstyle.unet.masks import token_grid
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT, kind_of
from lib_instantstyle.unet.self_attention import ATTENDED, TO_K, TO_Q, TO_V, AttentionFeatures

# Transformer indices. StyleAligned shares every layer. Swapping: up_blocks.1, as published for
# SDXL; SD1.5 (no part of the paper): the layers of its decoder with as many tokens, up_blocks.3.
SHARED_BLOCKS: dict[str, Collection[int]] = {"sd15": range(16), "sdxl": range(11)}
SWAPPED_BLOCKS: dict[str, Collection[int]] = {"sd15": range(13, 16), "sdxl": range(8, 11)}

_ADDED_VARIANCE = 1e-5


@dataclass(frozen=True)
class Sharing:
    """StyleAligned's settings; the defaults are the published ones for a picture from a file."""

    scale: float = 1.0  # of the reference's keys
    shift: float = math.log(2)  # added to the logits of the reference: higher is closer to it
    adain: float = 1.0  # share of the reference's statistics in queries and keys


Size = tuple[int, int]
"""Height and width of a latent."""


class SharedFeatures(ABC):
    """The features of the reference that the rows of a UNet call attend to."""

    @abstractmethod
    def features(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor:
        """The reference's queries, keys or values (`part`) in layer `number`: [B, M, h].

        x: those of the call's rows, [B, N, h].
        """

    @abstractmethod
    def moments(self, number: int, own: Moments) -> Moments:
        """The reference's moments in group norm `number`; own: those of the call's rows."""

    def scales(self, scale: float, x: torch.Tensor) -> float | torch.Tensor:
        """`scale` of the reference's keys as a factor of `x` [B, N, h]; it may differ by row."""
        return scale


class Captured(SharedFeatures):
    """Features captured in a UNet call of their own."""

    def __init__(
        self,
        features: AttentionFeatures,
        moments: Mapping[int, Moments] | None = None,
        rows: Callable[[], Sequence[int]] | None = None,
    ) -> None:
        """moments: of the group norms by number, if these are shared. rows: for each row of the
        current call, the captured row that serves it; None if one was captured, for all."""
        self._features = features
        self._moments = moments or {}
        self._rows = rows

    def features(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor:
        """See SharedFeatures."""
        found = self._features[number, part].to(x.dtype)
        return found.expand(len(x), -1, -1) if self._rows is None else found[list(self._rows())]

    def moments(self, number: int, own: Moments) -> Moments:
        """See SharedFeatures."""
        found = self._moments[number]
        if self._rows is None:
            return found
        rows = list(self._rows())
        return Moments(found.mean[rows], found.variance[rows], found.count)


class FirstOfBatch(SharedFeatures):
    """The features of the first picture of the batch, which is in the same call, unchanged."""

    def __init__(self, rows: Callable[[], Sequence[int]]) -> None:
        """rows: for each row of the current call, the row of its reference."""
        self._rows = rows

    def features(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor:
        """See SharedFeatures."""
        return x[list(self._rows())]

    def moments(self, number: int, own: Moments) -> Moments:
        """See SharedFeatures."""
        rows = list(self._rows())
        return Moments(own.mean[rows], own.variance[rows], own.count)

    def scales(self, scale: float, x: torch.Tensor) -> float | torch.Tensor:
        """See SharedFeatures. The factor of the reference's own rows is 1."""
        factors = [1.0 if i == row else scale for i, row in enumerate(self._rows())]
        return x.new_tensor(factors).view(-1, 1, 1)


class StyleAligned:
    """Attention to a picture's own tokens and to those of the reference, in one softmax.

    Source: Hertz et al., "Style Aligned Image Generation via Shared Attention", arXiv 2312.02133,
    https://github.com/google/style-aligned. For its shared norms see unet/group_norms.py.

    No change of keys and values has the effect of `shift`. With a shift, attention is therefore
    computed here; the WebUI's own gets a single key, so that it costs next to nothing, and its
    output is replaced.
    """

    def __init__(self, reference: SharedFeatures, heads: Sequence[int], sharing: Sharing) -> None:
        """heads: H of each layer."""
        self._reference = reference
        self._heads = heads
        self._sharing = sharing
        self._inputs: dict[str, torch.Tensor] = {}  # q, k, v of the current layer, by part

    def act(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor | None:
        """See self_attention.AttentionCallback."""
        if part == ATTENDED:
            return self._attend(number) if self._sharing.shift else None
        shared = self._shared(number, part, x)
        if not self._sharing.shift:
            return shared
        self._inputs[part] = shared
        return x if part == TO_Q else x[:, :1]

    def _shared(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor:
        """Queries with the reference's statistics; keys and values with its own appended."""
        reference = self._reference.features(number, part, x)
        if part != TO_V and self._sharing.adain:
            x = torch.lerp(x, adain(x, reference, (1,), _ADDED_VARIANCE), self._sharing.adain)
        if part == TO_Q:
            return x
        if part == TO_K:
            reference = reference * self._reference.scales(self._sharing.scale, x)
        return torch.cat([x, reference], dim=1)

    def _attend(self, number: int) -> torch.Tensor:
        parts = (self._inputs.pop(part) for part in (TO_Q, TO_K, TO_V))
        query, key, value = (_split(x, self._heads[number]) for x in parts)
        bias = key.new_zeros(key.shape[2])
        bias[query.shape[2] :] = self._sharing.shift
        attended = F.scaled_dot_product_attention(query, key, value, bias[None])
        return attended.transpose(1, 2).flatten(2)


class Swapped:
    """Attention to the tokens of the reference instead of a picture's own.

    Source: Jeong et al., "Visual Style Prompting with Swapping Self-Attention", arXiv 2402.12974,
    https://github.com/naver-ai/Visual-Style-Prompting.
    """

    def __init__(self, reference: SharedFeatures) -> None:
        self._reference = reference

    def act(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor | None:
        """See self_attention.AttentionCallback."""
        if part not in (TO_K, TO_V):
            return None
        return self._reference.features(number, part, x).contiguous()


class QueryGuided:
    """Negative visual query guidance: guidance moves away from what the reference shows.

    Prompt rows are swapped in the late layers. In the others negative rows have the queries of the
    reference, so that they show its layout and content in no style of its own.
    Source: StyleKeeper, ICCV 2025, arXiv 2510.06827.
    """

    def __init__(
        self,
        reference: SharedFeatures,
        late: Collection[int],
        rows: Callable[[], Sequence[int]],
        sizes: Callable[[], tuple[Size, Size]] = lambda: ((0, 0), (0, 0)),
    ) -> None:
        """late: numbers of the late layers. rows: codes of the rows of the current call. sizes: of
        the reference's latent and of the call's; hires fix makes the second larger."""
        self._reference = reference
        self._late = late
        self._rows = rows
        self._sizes = sizes

    def act(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor | None:
        """See self_attention.AttentionCallback."""
        kind = self.kind_served(number, part)
        rows = [row for row, code in enumerate(self._rows()) if kind_of(code) == kind]
        if kind is None or not rows:
            return None
        changed = x.clone()
        found = self._reference.features(number, part, x)[rows]
        if found.shape[1] != x.shape[1]:
            found = self._resized(found, x.shape[1], "bilinear" if part == TO_Q else "nearest")
        changed[rows] = found
        return changed

    def _resized(self, x: torch.Tensor, tokens: int, mode: str) -> torch.Tensor:
        """x [B, M, h] on the grid of `tokens` tokens, which all rows of the call have.

        To attend to keys and values that are there several times is to attend to them once.
        """
        reference, own = self._sizes()
        grids = token_grid(*reference, x.shape[1]), token_grid(*own, tokens)
        if grids[0] is None or grids[1] is None:
            raise InstantStyleError(
                "negative_query cannot be used: another extension changed the number of tokens in "
                "self-attention; switch it off, or do without negative_query."
            )
        cells = x.transpose(1, 2).reshape(len(x), -1, *grids[0])
        return F.interpolate(cells, grids[1], mode=mode).flatten(2).transpose(1, 2)

    def kind_served(self, number: int, part: str) -> int | None:
        """Which rows get this part of the reference: PROMPT, NEGATIVE or none."""
        if number in self._late:
            return PROMPT if part in (TO_K, TO_V) else None
        return NEGATIVE if part == TO_Q else None


class ColourCalibration:
    """When the predicted picture gets the reference's mean and standard deviation per channel.

    As in Visual Style Prompting with a reference from a file: at timesteps below 150 and above
    100. A sampler that evaluates the model at none of these is calibrated once, at its first
    timestep below them.
    """

    def __init__(self, sigmas: Sequence[float]) -> None:
        """sigmas: by timestep, 1000 of them."""
        self._high, self._low = sigmas[150], sigmas[100]
        self._done = False

    def is_due(self, sigma: float) -> bool:
        """Whether to calibrate the evaluation at `sigma`; to be called once for each, in order."""
        due = sigma < self._high and (sigma > self._low or not self._done)
        self._done = self._done or due
        return due


def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
    """[B, N, h] -> [B, H, N, h / H]"""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)
