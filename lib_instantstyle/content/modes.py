"""How content is taken out of an image vector: one function for each `content_mode`.

Image vectors and text vectors are those of one CLIP, as it gives them, not of length 1.

- "difference": InstantStyle, Wang et al. 2024, arXiv 2404.02733, section 3.1.
- "projection": only what lies along the mean of the texts.
- "subspace": what lies in the space that all texts span. IP-Composer (Dorfman et al. 2025, arXiv
  2502.13951) puts such a part in; here it is taken out.
- "mask": MaskST, "Less is More" (ICLR 2025, arXiv 2502.07466). The authors' scripts mask a fixed
  share of the elements, their paper the upper one of two clusters; both are here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from lib_instantstyle.units.choices import DIFFERENCE, MASK, PROJECTION, SUBSPACE

# Words that mean the same are nearly parallel; what is left of one beside the other is noise.
MIN_SINGULAR_VALUE = 1e-3  # of the largest


def remove_content(
    image: torch.Tensor, texts: Sequence[torch.Tensor], scale: float, mode: str, share: float
) -> torch.Tensor:
    """Image vectors [..., E] without the content that the text vectors [E] name.

    scale: how much of what the mode finds is taken out; with 0 the same tensor is returned. share:
    see `masked_elements`. Raises KeyError for an unknown mode.
    """
    if not len(texts) or not scale:
        return image
    found = CONTENT_FUNCTIONS[mode](image, torch.stack([t.to(image) for t in texts]), share)
    left: torch.Tensor = image - scale * found
    return left


def masked_elements(image: torch.Tensor, texts: torch.Tensor, share: float) -> torch.Tensor:
    """Which elements of the image vectors [..., E] agree most with the texts [n, E]: bool [..., E].

    The product of both vectors at length 1 sums up to their cosine; masked are the elements above
    its quantile 1 - share, which are `mask_size` many if no two are equal. share 0: the elements
    above the one threshold that leaves the least variance on both sides (2-means). Of several texts
    the masks are united, because the mean of unrelated words agrees with none of them. A vector of
    zeros agrees with nothing.
    """
    product = _at_length_1(image).unsqueeze(-2) * _at_length_1(texts)
    if share:
        threshold = torch.quantile(product, 1 - share, dim=-1, keepdim=True)
    else:
        threshold = _split_in_two(product)
    return (product > threshold).any(dim=-2)


def mask_size(width: int, share: float) -> int:
    """How many of `width` elements one text masks with a share above 0."""
    return width - math.floor((1 - share) * (width - 1)) - 1


def _split_in_two(numbers: torch.Tensor) -> torch.Tensor:
    """The largest number [..., 1] of the lower of two clusters of `numbers` [..., E].

    The split is exact: of sorted numbers the best clusters are a beginning and the rest. With the
    mean at 0 the sums c and -c of i and E - i numbers leave a variance that is least where
    c^2 (1 / i + 1 / (E - i)) is largest.
    """
    ordered = numbers.sort(dim=-1).values
    count = ordered.shape[-1]
    sums = (ordered - ordered.mean(dim=-1, keepdim=True)).cumsum(dim=-1)[..., :-1]
    below = torch.arange(1, count, dtype=ordered.dtype, device=ordered.device)
    best = (sums.square() * (1 / below + 1 / (count - below))).argmax(dim=-1, keepdim=True)
    return ordered.gather(-1, best)


def _at_length_1(vectors: torch.Tensor) -> torch.Tensor:
    """`vectors` [..., E] at length 1, float64; zeros stay zeros."""
    double = vectors.double()
    length = double.norm(dim=-1, keepdim=True)
    at_length_1: torch.Tensor = double / length.clamp_min(torch.finfo(double.dtype).tiny)
    return at_length_1


def _difference(image: torch.Tensor, texts: torch.Tensor, share: float) -> torch.Tensor:
    return texts.mean(dim=0)


def _projection(image: torch.Tensor, texts: torch.Tensor, share: float) -> torch.Tensor:
    text = texts.mean(dim=0)
    unit = text / text.norm().clamp_min(torch.finfo(text.dtype).tiny)
    along: torch.Tensor = (image @ unit).unsqueeze(-1) * unit
    return along


def _subspace(image: torch.Tensor, texts: torch.Tensor, share: float) -> torch.Tensor:
    # Not QR: of a word that is given twice it keeps the rounding error as a direction.
    _, values, directions = torch.linalg.svd(texts.double(), full_matrices=False)
    directions = directions[values > MIN_SINGULAR_VALUE * values[0]]
    inside: torch.Tensor = image.double() @ directions.T @ directions
    return inside.to(image)


def _mask(image: torch.Tensor, texts: torch.Tensor, share: float) -> torch.Tensor:
    return image.where(masked_elements(image, texts, share), torch.zeros_like(image))


CONTENT_FUNCTIONS: Mapping[str, Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]] = {
    DIFFERENCE: _difference,
    PROJECTION: _projection,
    MASK: _mask,
    SUBSPACE: _subspace,
}
"""By mode: from image vectors [..., E], texts [n, E] and share to what is taken out at scale 1."""
