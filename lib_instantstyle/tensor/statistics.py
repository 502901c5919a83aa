"""Adaptive instance normalisation: one tensor with the mean and deviation of another."""

from __future__ import annotations

from collections.abc import Sequence

import torch

_SMALLEST = 1e-6  # a tensor without any variation is left without any, instead of not a number


def adain(
    content: torch.Tensor,
    style: torch.Tensor,
    dims: Sequence[int],
    added_variance: float = 0.0,
) -> torch.Tensor:
    """`content` moved and stretched to the mean and the standard deviation of `style`.

    Both statistics are taken over `dims` (the same in both; their lengths may differ), unbiased.
    For latents [B, C, h, w] dims are (2, 3), for tokens [B, N, h] they are (1,).
    added_variance: added to both variances, as StyleAligned does (1e-5).
    Source: Huang and Belongie, arXiv 1703.06868.
    """
    mean, deviation = _moments(content, dims, added_variance)
    style_mean, style_deviation = _moments(style, dims, added_variance)
    return (content - mean) / deviation.clamp_min(_SMALLEST) * style_deviation + style_mean


def _moments(
    x: torch.Tensor, dims: Sequence[int], added_variance: float
) -> tuple[torch.Tensor, torch.Tensor]:
    alone = all(x.shape[dim] == 1 for dim in dims)  # a single token has no deviation
    variance, mean = torch.var_mean(x, dim=list(dims), keepdim=True, correction=0 if alone else 1)
    return mean, (variance + added_variance).sqrt()
