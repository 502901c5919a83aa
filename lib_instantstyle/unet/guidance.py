"""Guidance inside a cross-attention: prompt rows are moved away from other image tokens.

Normalised attention guidance (NAG, NeurIPS 2025, arXiv 2505.21179) was published for text tokens.
Here Z+ is the text's attention with the reference's image tokens, and Z- the same with those of the
picture to move away from. The result is

    Z~ = Z+ + phi (Z+ - Z-)
    Z^ = Z~ min(1, tau |Z+|_1 / |Z~|_1)          by latent token, over the channels
    Z  = alpha Z^ + (1 - alpha) Z+

It needs no negative-prompt rows, so that it works at CFG scale 1 too.
"""

from __future__ import annotations

import torch

TAU, ALPHA = 2.5, 0.25  # of the published code for Stable Diffusion


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
