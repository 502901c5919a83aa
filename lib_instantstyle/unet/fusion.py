"""Cross-modal AdaIN: text attention that takes mean and contrast from the image tokens' attention.

Source: StyleStudio (CVPR 2025, arXiv 2412.08503; ip_adapter/attention_processor.py of its code).
Each channel of the text's attention keeps its pattern over the latent tokens. Its mean and standard
deviation become those of the image tokens' attention. The published code replaces the text's
attention; here a share of 0 to 1 blends the two.
"""

from __future__ import annotations

import torch

_SMALLEST = 1e-12  # deviation below which a channel counts as constant


def cross_modal(
    text: torch.Tensor, image: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """`text` with the mean and deviation of `image`, by row and channel; both [B, N, h].

    mask: [1, N, 1], 0 to 1, how much each token counts in the statistics. Deviations are unbiased.
    A channel of `text` that is constant becomes the mean of `image`. In float32, returned in the
    type of `text`.
    """
    mean, deviation = _moments(text.float(), mask)
    image_mean, image_deviation = _moments(image.float(), mask)
    factor = image_deviation / deviation.clamp_min(_SMALLEST)
    factor = torch.where(deviation < _SMALLEST, 0, factor)
    return torch.addcmul(image_mean, text.float() - mean, factor).to(text.dtype)


def _moments(x: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and unbiased standard deviation [B, 1, h] over the tokens."""
    tokens = x.shape[1]
    weights = x.new_ones(1, tokens, 1) if mask is None else mask.float()
    total = weights.sum()
    # The number of tokens less one, where all weights are 0 or 1.
    freedom = total - weights.square().sum() / total.clamp_min(_SMALLEST)
    mean = (x * weights).sum(1, keepdim=True) / total.clamp_min(_SMALLEST)
    squares = ((x - mean).square() * weights).sum(1, keepdim=True)
    # With one token there is no deviation; a rest of rounding must not be divided by.
    variance = torch.where(freedom > 0.5, squares / freedom.clamp_min(0.5), 0)
    return mean, variance.sqrt()
