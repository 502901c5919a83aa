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

from lib_instantstyle.unet.inversion import adain

TAU, ALPHA = 2.5, 0.25  # of the published code for Stable Diffusion


def cross_modal(
    text: torch.Tensor, image: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """`text` with the mean and deviation of `image`, by row and channel; both [B, N, h].

    mask: [1, N, 1], 0 to 1, how much each token counts in the statistics. A channel of `text` that
    is constant becomes the mean of `image`. In float32, returned in the type of `text`.
    """
    weights = None if mask is None else mask.float()
    return adain(text.float(), image.float(), (1,), weights=weights).to(text.dtype)


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
