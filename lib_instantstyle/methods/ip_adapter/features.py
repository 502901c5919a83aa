"""The image embeds that a unit's adapter takes: encoded, combined, and without the content.

Several references can become one here, before the adapter's projection. The ways to combine them
are those of ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus; `combine_embeds` and the node
IPAdapter Combine Embeds). "concat" and "each" act after the projection, in terms.py; colours and
texture are separated in colour_texture.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import torch

from lib_instantstyle.content.subtraction import without_content
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods.ip_adapter.colour_texture import (
    SIDES,
    beside,
    inputs_beside,
    inputs_of_sides,
    separated,
)
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.models.selection import Choice, image_encoder_for
from lib_instantstyle.references.unit_pictures import UnitPictures
from lib_instantstyle.references.vectors import image_embeds
from lib_instantstyle.references.views import (
    ZERO_IMAGE,
    EncoderInput,
    has_negative_input,
    negative_input,
    reference_input,
)
from lib_instantstyle.styles.file import Style
from lib_instantstyle.units.choices import CONCAT, EACH, REMOVED_CONTENT
from lib_instantstyle.units.presets import BlockWeight
from lib_instantstyle.units.unit import Unit

_TOGETHER = 32  # inputs of several units whose hidden states the cache holds at the same time


class Features(NamedTuple):
    """What an adapter takes of one unit."""

    embeds: torch.Tensor  # [n + 1, E] or [n + 1, N, W], the last for negative rows
    weights: tuple[float, ...]  # of the n references
    suggested: tuple[tuple[str, ...], ...] = ()  # words of each reference that were taken out
    removed: torch.Tensor | None = None  # [n, E], what guidance moves away from, where it does

    @property
    def stack(self) -> torch.Tensor:
        """All image embeds, those to move away from last."""
        return torch.cat([each for each in (self.embeds, self.removed) if each is not None])


@dataclass(frozen=True)
class CheckedUnit:
    """A unit with its pictures, its files and its layers.

    block_weights: by adapter number N, of the layers that the adapter has. style: the saved style
    used instead of references; the image encoder of `choice` is then the one that made it.
    """

    unit: Unit
    pictures: UnitPictures
    choice: Choice
    block_weights: Mapping[int, BlockWeight]
    style: Style | None = None


def unit_features(checked: CheckedUnit, context: Context) -> Features:
    """The image embeds of the unit's references, and the weight of each.

    Combined references are one, with weight 1; a single reference keeps its own. Raises
    InstantStyleError if one cannot be encoded or the content cannot be taken out.
    """
    return features_of(_encoded(checked, context), checked, context)


def features_of(encoded: torch.Tensor, checked: CheckedUnit, context: Context) -> Features:
    """The same, made of the image embeds [n + 1, ...] of references and of negative rows."""
    unit = checked.unit
    references, weights = combined(list(encoded[:-1]), checked)
    whole = left = torch.stack(references)
    suggested: tuple[tuple[str, ...], ...] = ()
    if unit.content or unit.auto_content:
        left, suggested = without_content(
            left, unit, checked.choice.adapter, context, _announce_words
        )
    negative = encoded[-1:]
    if unit.negative_content:
        negative = (whole - left).mean(dim=0, keepdim=True)
    leaves_removed = unit.attention_guidance and unit.guidance_from == REMOVED_CONTENT
    removed = whole - left if leaves_removed else None
    return Features(torch.cat([left, negative]), weights, suggested, removed)


def _announce_words(done: int, total: int) -> None:
    """Say beside the progress bar how many words of the vocabulary are encoded, which is once."""
    from lib_instantstyle.hosts.diffusion import announce  # needs the WebUI itself

    announce(f"Reading words, once: {done} of {total}" if done < total else "")


def combined(
    references: Sequence[torch.Tensor], checked: CheckedUnit
) -> tuple[list[torch.Tensor], tuple[float, ...]]:
    """The image embeds and weights of references, where the unit combines them as one's."""
    unit, weights = checked.unit, checked.pictures.weights
    if unit.combine in SIDES:
        return [separated(unit, references, weights)], (1.0,)
    if unit.combine in (CONCAT, EACH) or len(references) == 1:
        return list(references), weights
    return [combine(weighted(references, weights), unit.combine)], (1.0,)


def encoder_inputs(checked: CheckedUnit) -> tuple[list[EncoderInput], EncoderInput | None]:
    """The encoder inputs of the references and of the negative rows; None if these have none."""
    unit, pictures = checked.unit, checked.pictures
    mask = pictures.reference_mask
    negative = None
    if pictures.negative is not None:
        negative = negative_input(pictures.negative, unit)
    elif has_negative_input(unit) and pictures.references:
        negative = negative_input(pictures.references[0], unit, mask)
    if checked.style is not None and pictures.references:
        kept, picture = checked.style.info.separates, pictures.references[0]
        return inputs_beside(kept, unit, picture, mask), negative
    if unit.combine in SIDES and checked.style is None:
        return inputs_of_sides(unit, pictures.references, mask), negative
    return [reference_input(picture, unit, mask) for picture in pictures.references], negative


def encode_together(units: Sequence[CheckedUnit], context: Context) -> None:
    """Encode what several of `units` lack, so that one image encoder is loaded once for them.

    What cannot be encoded is left to `unit_features`, whose error is about one unit.
    """
    by_encoder: dict[tuple[ImageEncoderFile, bool], list[list[EncoderInput]]] = {}
    for checked in units:
        if checked.style is None:
            hidden = checked.choice.adapter.kind.projection.takes_hidden_states
            of_encoder = by_encoder.setdefault((checked.choice.image_encoder, hidden), [])
            of_encoder.append(inputs_to_encode(checked))
    for (encoder, hidden), of_units in by_encoder.items():
        given = [each for inputs in of_units for each in inputs]
        if len(of_units) > 1 and len(given) <= _TOGETHER:
            with suppress(InstantStyleError):
                image_embeds(context).encode(given, encoder, hidden)


def inputs_to_encode(checked: CheckedUnit) -> list[EncoderInput]:
    """All that the encoder of `checked` is asked for without a saved style; negative rows last."""
    inputs, negative = encoder_inputs(checked)
    if negative is None and checked.choice.adapter.kind.projection.takes_hidden_states:
        negative = ZERO_IMAGE
    return [*inputs, *([negative] if negative else [])]


def _encoded(checked: CheckedUnit, context: Context) -> torch.Tensor:
    """Image embeds of each reference and, last, of the negative rows: [n + 1, ...]."""
    inputs, negative = encoder_inputs(checked)
    adapter, style = checked.choice.adapter, checked.style
    embeds = image_embeds(context)
    if style is None:
        features = embeds.features(inputs, negative, adapter.kind, checked.choice.image_encoder)
    else:
        hidden = adapter.kind.projection.takes_hidden_states
        wanted = [*inputs, *([negative] if negative else [])]
        found: list[torch.Tensor] = []
        if wanted:
            encoder = image_encoder_for(adapter, context.catalog)
            found = embeds.encode(wanted, encoder, hidden)
        features = with_style(style, found, len(inputs), hidden)
    if embeds.files is not None and embeds.files.problem:
        context.notify(embeds.files.problem)
    return features


def with_style(
    style: Style, found: Sequence[torch.Tensor], pictures: int, hidden: bool
) -> torch.Tensor:
    """Image embeds [n + 1, ...] of a saved style and of what stands beside it; negative rows last.

    found: the image embeds of the first `pictures` inputs, and of negative rows if they have one.
    """
    *own, negative = style.features(hidden)
    if pictures:
        own = beside(style.info.separates, own, found[:pictures])
    return torch.stack([*own, *(found[pictures:] or [negative])])


def weighted(features: Sequence[torch.Tensor], weights: Sequence[float]) -> list[torch.Tensor]:
    """Each of `features`, tensors of any shape, times the weight of its reference."""
    return [feature * weight for feature, weight in zip(features, weights, strict=True)]


def combine(features: Sequence[torch.Tensor], mode: str) -> torch.Tensor:
    """One image embedding from those of several references; a single one is returned as it is.

    features: image vectors [E] or hidden states [N, W], all of one shape, already weighted.
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
