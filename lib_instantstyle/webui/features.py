"""From the references of a unit to what its adapter takes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lib_instantstyle.hosts import Host
from lib_instantstyle.pure.catalog import Catalog
from lib_instantstyle.pure.units import CONCAT, EACH
from lib_instantstyle.tensor.combining import combine, weighted
from lib_instantstyle.tensor.embedding import features_of
from lib_instantstyle.tensor.sights import has_negative_sight, negative_sight_of, sight_of
from lib_instantstyle.webui.checking import CheckedUnit
from lib_instantstyle.webui.subtracting import without_content

Features = tuple[torch.Tensor, tuple[float, ...]]


def unit_features(
    checked: CheckedUnit, catalog: Catalog, host: Host, p: Any, say: Callable[[str], None]
) -> Features:
    """[n + 1, E] or [n + 1, N, W] of n references and, last, of negative rows; n weights.

    References that become one before the projection are one here, with weight 1.
    """
    unit, pictures = checked.unit, checked.pictures
    adapter, tower = checked.choice.adapter, checked.choice.tower
    mask = pictures.reference_mask
    negative_sight = None
    if pictures.negative is not None:
        negative_sight = negative_sight_of(pictures.negative, unit)
    elif has_negative_sight(unit):
        negative_sight = negative_sight_of(pictures.references[0], unit, mask)
    features = features_of(
        [sight_of(picture, unit, mask) for picture in pictures.references],
        negative_sight,
        adapter.kind,
        tower,
        host.device(),
        host.encoder_dtype(),
        host.keeps_encoder(),
        host.make_room,
    )
    references, negative, weights = list(features[:-1]), features[-1], pictures.weights
    if unit.combine not in (CONCAT, EACH):
        references, weights = [combine(weighted(references, weights), unit.combine)], (1.0,)
    left = without_content(torch.stack(references), unit, adapter, catalog, host, p, say)
    return torch.cat([left, negative[None]]), weights
