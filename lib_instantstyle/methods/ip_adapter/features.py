"""From the references of a unit to what its adapter takes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from lib_instantstyle.content.subtraction import without_content
from lib_instantstyle.hosts import Host
from lib_instantstyle.methods.ip_adapter.checked import CheckedUnit
from lib_instantstyle.models.catalog import Catalog
from lib_instantstyle.models.selection import image_encoder_for
from lib_instantstyle.references.vector_files import EmbeddingFiles
from lib_instantstyle.references.vectors import ImageEmbeds
from lib_instantstyle.references.views import (
    EncoderInput,
    has_negative_input,
    negative_input,
    reference_input,
)
from lib_instantstyle.units.choices import CONCAT, EACH

Features = tuple[torch.Tensor, tuple[float, ...]]


def unit_features(
    checked: CheckedUnit, catalog: Catalog, host: Host, p: Any, say: Callable[[str], None]
) -> Features:
    """[n + 1, E] or [n + 1, N, W] of n references and, last, of negative rows; n weights.

    References that become one before the projection are one here, with weight 1.
    """
    unit, weights = checked.unit, checked.pictures.weights
    files = host.embedding_files()
    features = _looked_at(checked, catalog, host, files, say)
    if files is not None and files.problem:
        say(files.problem)
    references, negative = list(features[:-1]), features[-1]
    if unit.combine not in (CONCAT, EACH):
        references, weights = [combine(weighted(references, weights), unit.combine)], (1.0,)
    adapter = checked.choice.adapter
    left = without_content(torch.stack(references), unit, adapter, catalog, host, p, say)
    return torch.cat([left, negative[None]]), weights


def encoder_inputs(checked: CheckedUnit) -> tuple[list[EncoderInput], EncoderInput | None]:
    """What there is to look at: the references, and what negative rows get instead of nothing."""
    unit, pictures = checked.unit, checked.pictures
    mask = pictures.reference_mask
    negative = None
    if pictures.negative is not None:
        negative = negative_input(pictures.negative, unit)
    elif has_negative_input(unit):
        negative = negative_input(pictures.references[0], unit, mask)
    return [reference_input(picture, unit, mask) for picture in pictures.references], negative


def _looked_at(
    checked: CheckedUnit,
    catalog: Catalog,
    host: Host,
    files: EmbeddingFiles | None,
    say: Callable[[str], None],
) -> torch.Tensor:
    """What the adapter takes of each reference and, last, of what negative rows get."""
    inputs, negative = encoder_inputs(checked)
    adapter, style = checked.choice.adapter, checked.style
    embeds = ImageEmbeds(
        host.device(), host.encoder_dtype(), host.keeps_encoder(), host, files, say
    )
    if style is None:
        return embeds.features(inputs, negative, adapter.kind, checked.choice.image_encoder)
    hidden = adapter.kind.projection.takes_hidden_states
    features = style.features(hidden)
    if negative is not None:
        other = embeds.encode([negative], image_encoder_for(adapter, catalog), hidden)
        features = torch.stack([*features[:-1], *other])
    return features


# Several references made into one, in CLIP's space, before the adapter's projection.
#
# Source of the modes: ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus), `combine_embeds` and
# the node IPAdapter Combine Embeds. Laying references side by side as tokens ("concat") and dealing
# them out to the pictures of a batch ("each") happen after the projection and are not here.


def weighted(features: Sequence[torch.Tensor], weights: Sequence[float]) -> list[torch.Tensor]:
    """Each feature times its reference's weight, of any shape."""
    return [feature * weight for feature, weight in zip(features, weights, strict=True)]


def combine(features: Sequence[torch.Tensor], mode: str) -> torch.Tensor:
    """One feature from those of several references; a single one is left as it is.

    features: CLIP image vectors [E] or hidden states [N, W], all of one shape, already weighted.
    mode, elementwise: "average"; "norm average", the mean after dividing by the Euclidean norm
    across the references, so that what only one of them has counts as much as what all have;
    "add"; "subtract", the first less the mean of the others; "max"; "min".
    """
    return (
        COMBINE_FUNCTIONS[mode](torch.stack(list(features))) if len(features) > 1 else features[0]
    )


def _norm_average(stack: torch.Tensor) -> torch.Tensor:
    # Where every reference has 0 the quotient is 0, not undefined.
    norm = stack.norm(dim=0, keepdim=True).clamp_min(torch.finfo(stack.dtype).tiny)
    average: torch.Tensor = (stack / norm).mean(dim=0)
    return average


COMBINE_FUNCTIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "average": lambda stack: stack.mean(dim=0),
    "norm average": _norm_average,
    "add": lambda stack: stack.sum(dim=0),
    "subtract": lambda stack: stack[0] - stack[1:].mean(dim=0),
    "max": lambda stack: stack.amax(dim=0),
    "min": lambda stack: stack.amin(dim=0),
}
