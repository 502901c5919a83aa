"""Several references made into one, in CLIP's space, before the adapter's projection.

Source of the modes: ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus), `combine_embeds` and
the node IPAdapter Combine Embeds. Laying references side by side as tokens ("concat") and dealing
them out to the pictures of a batch ("each") happen after the projection and are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from lib_instantstyle.pure.errors import InstantStyleError, shorten


def weighted(features: Sequence[torch.Tensor], weights: Sequence[float]) -> list[torch.Tensor]:
    """Each feature times its reference's weight, of any shape."""
    return [feature * weight for feature, weight in zip(features, weights, strict=True)]


def combine(features: Sequence[torch.Tensor], mode: str) -> torch.Tensor:
    """One feature from those of several references; a single one is left as it is.

    features: CLIP image vectors [E] or hidden states [N, W], all of one shape, already weighted.
    mode, elementwise: "average"; "norm average", the mean after dividing by the Euclidean norm
    across the references, so that what only one of them has counts as much as what all have;
    "add"; "subtract", the first less the mean of the others; "max"; "min".

    Raises InstantStyleError for an unknown mode.
    """
    if mode not in MODES:
        raise InstantStyleError(
            f"combine is {shorten(mode)}; one of {', '.join(MODES)} is allowed."
        )
    return MODES[mode](torch.stack(list(features))) if len(features) > 1 else features[0]


def _norm_average(stack: torch.Tensor) -> torch.Tensor:
    # Where every reference has 0 the quotient is 0, not undefined.
    norm = stack.norm(dim=0, keepdim=True).clamp_min(torch.finfo(stack.dtype).tiny)
    average: torch.Tensor = (stack / norm).mean(dim=0)
    return average


MODES: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "average": lambda stack: stack.mean(dim=0),
    "norm average": _norm_average,
    "add": lambda stack: stack.sum(dim=0),
    "subtract": lambda stack: stack[0] - stack[1:].mean(dim=0),
    "max": lambda stack: stack.amax(dim=0),
    "min": lambda stack: stack.amin(dim=0),
}
