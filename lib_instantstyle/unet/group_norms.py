"""Group norms whose mean and variance are those of a picture and the reference together.

An option of StyleAligned: https://github.com/google/style-aligned, `register_shared_norm`. There
the features of picture and reference are laid side by side, normalised and cut apart again. Here
only the reference's mean and variance in each group are kept, which say the same.

Layer norms need nothing: they normalise each token by itself, so that sharing them, which the
published code offers too, changes no number.

Shapes: B rows, C channels in G groups, any size of picture behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.injection import begin_hooks, remove_hooks_of

_MARK = "_instantstyle_norms"


@dataclass(frozen=True)
class Moments:
    """What a group norm divides by: mean and biased variance [B, G, 1], over `count` numbers."""

    mean: torch.Tensor
    variance: torch.Tensor
    count: int

    @classmethod
    def of(cls, x: torch.Tensor, groups: int) -> Moments:
        """x: [B, C, ...]."""
        rows = x.float().reshape(len(x), groups, -1)
        variance, mean = torch.var_mean(rows, dim=2, correction=0, keepdim=True)
        return cls(mean, variance, rows.shape[2])

    def together(self, other: Moments) -> Moments:
        """Those of both sets of numbers laid side by side."""
        count = self.count + other.count
        a, b = self.count / count, other.count / count
        between = a * b * (self.mean - other.mean).square()
        variance = a * self.variance + b * other.variance + between
        return Moments(a * self.mean + b * other.mean, variance, count)


SharedMoments = Callable[[int, Moments], Moments]
"""For a norm's number and the moments of a call's rows: the moments [B or 1, G, 1] to share."""


class NormHooks:
    """Hooks on all group norms of a UNet. Idle until told to capture or to share."""

    def __init__(self, unet: nn.Module) -> None:
        self._act: SharedMoments | None = None
        handles = begin_hooks(unet, _MARK)
        norms = [module for module in unet.modules() if isinstance(module, nn.GroupNorm)]
        self._count = len(norms)
        for number, norm in enumerate(norms):
            handles.append(norm.register_forward_hook(self._hook(number)))

    @contextmanager
    def capturing(self) -> Iterator[Mapping[int, Moments]]:
        """Keep the moments of what is normalised in this block."""
        found: dict[int, Moments] = {}

        def keep(number: int, own: Moments) -> Moments:
            found[number] = own
            return own

        with self.sharing(keep):
            yield found
        if len(found) != self._count:
            raise InstantStyleError(
                "the UNet's group norms were not reached; a replaced UNet (such as TensorRT) "
                "cannot share them, switch it or shared_norms off."
            )

    @contextmanager
    def sharing(self, reference: SharedMoments) -> Iterator[None]:
        """Normalise by a picture and `reference` together in this block."""
        previous = self._act
        self._act = reference
        try:
            yield
        finally:
            self._act = previous

    def _hook(self, number: int) -> Callable[..., torch.Tensor | None]:
        def hook(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
            if self._act is None:
                return None
            norm = cast(nn.GroupNorm, module)
            own = Moments.of(args[0], norm.num_groups)
            reference = self._act(number, own)
            return None if reference is own else _renormalised(norm, output, own, reference)

        return hook


def _renormalised(
    norm: nn.GroupNorm, output: torch.Tensor, own: Moments, reference: Moments
) -> torch.Tensor:
    """What `norm` would have answered, had it seen the reference too."""
    both = own.together(reference)
    deviation = (both.variance + norm.eps).sqrt()
    stretch = ((own.variance + norm.eps).sqrt() / deviation).expand(len(output), -1, 1)
    shift = ((own.mean - both.mean) / deviation).expand(len(output), -1, 1)
    weight, bias = (x.to(output.device, torch.float32) for x in (norm.weight, norm.bias))
    width = norm.num_channels // norm.num_groups
    stretch, shift = (x.repeat_interleave(width, 1).squeeze(2) for x in (stretch, shift))  # [B, C]
    shift = shift * weight + (1 - stretch) * bias
    shape = (*shift.shape, *[1] * (output.dim() - 2))
    return (output * stretch.view(shape) + shift.view(shape)).to(output.dtype)


@contextmanager
def norm_hooks(unet: nn.Module) -> Iterator[NormHooks]:
    """Hold hooks on the group norms of `unet` for the length of a `with` block."""
    try:
        yield NormHooks(unet)
    finally:
        remove_hooks_of(unet, _MARK)
