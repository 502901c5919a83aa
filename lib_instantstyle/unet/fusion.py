"""How image attention changes text attention, other than by a sum: by AdaIN, and by guidance.

Cross-modal AdaIN: text attention takes mean and contrast from the image tokens' attention. Source:
StyleStudio (CVPR 2025, arXiv 2412.08503; ip_adapter/attention_processor.py of its code). Each
channel of the text's attention keeps its pattern over the latent tokens. Its mean and standard
deviation become those of the image tokens' attention. The published code replaces the text's
attention; here a share of 0 to 1 blends the two.

Normalised attention guidance (NAG, NeurIPS 2025, arXiv 2505.21179): prompt rows are moved away from
other image tokens. It was published for text tokens. Here Z+ is the text's attention with the
reference's image tokens, and Z- the same with those of the picture to move away from. The result is

    Z~ = Z+ + phi (Z+ - Z-)
    Z^ = Z~ min(1, tau |Z+|_1 / |Z~|_1)          by latent token, over the channels
    Z  = alpha Z^ + (1 - alpha) Z+

It needs no negative-prompt rows, so that it works at CFG scale 1 too.
"""

from __future__ import annotations

import torch

TAU, ALPHA = 2.5, 0.25  # of the published code for Stable Diffusion

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


def guided(
    positive: torch.Tensor,
    negative: torch.Tensor,
    phi: float,
    tau: float = TAU,
    alpha: float = ALPHA,
) -> torch.Tensor:
    """Z from `positive` Z+ and `negative` Z-, both [B, N, h]; in float32, returned as they are.

    A token where Z+ is 0 stays 0.
    """
    plus = positive.float()
    far = torch.lerp(negative.float(), plus, 1 + phi)
    norms = [torch.linalg.vector_norm(z, 1, dim=-1, keepdim=True) for z in (plus, far)]
    limit = (tau * norms[0] / norms[1].clamp_min(torch.finfo(far.dtype).tiny)).clamp_(max=1)
    return torch.lerp(plus, far * limit, alpha).to(positive.dtype)


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
