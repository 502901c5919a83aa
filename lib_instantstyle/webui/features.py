"""From the references of a unit to what its adapter takes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lib_instantstyle.hosts import Host
from lib_instantstyle.pure.catalog import Catalog
from lib_instantstyle.pure.choices import CONCAT, EACH
from lib_instantstyle.tensor.combining import combine, weighted
from lib_instantstyle.tensor.embedding import ImageEmbeds
from lib_instantstyle.tensor.embedding_files import EmbeddingFiles
from lib_instantstyle.tensor.encoder_input import (
    EncoderInput,
    has_negative_input,
    negative_input,
    reference_input,
)
from lib_instantstyle.tensor.encoder_match import image_encoder_for
from lib_instantstyle.webui.checking import CheckedUnit
from lib_instantstyle.webui.subtracting import without_content

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
