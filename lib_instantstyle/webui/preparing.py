"""From units to a plan: references opened and encoded, adapters chosen and read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from lib_instantstyle.hosts import Host, model_folders
from lib_instantstyle.pure.catalog import scan
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.infotext import KEY, unit_to_text
from lib_instantstyle.pure.units import Unit
from lib_instantstyle.tensor.adapter import image_tokens, keys_and_values
from lib_instantstyle.tensor.embedding import image_vector
from lib_instantstyle.tensor.pictures import Picture, decode_picture
from lib_instantstyle.tensor.plan import Plan, Term, layer_weights
from lib_instantstyle.tensor.selection import choose
from lib_instantstyle.tensor.unet import UnetLayers

HASH_LENGTH = 12  # hexadecimal digits of a reference's hash in infotext


@dataclass(frozen=True)
class Prepared:
    """A plan and what to write about it."""

    plan: Plan
    infotext: dict[str, str]


@torch.no_grad()
def prepare(units: Sequence[Unit], layers: UnetLayers, host: Host) -> Prepared:
    """Make the plan of `units` for a UNet.

    Raises InstantStyleError for anything that cannot be had: each sentence names the unit.
    """
    catalog = scan(model_folders())
    terms: list[Term] = []
    infotext: dict[str, str] = {}
    for i, unit in enumerate(units, start=1):
        try:
            weights = layer_weights(unit, layers)
            if not weights:
                continue  # own block weights that are all zero: nothing to add, nothing to check
            picture = _reference(unit, host)
            adapter, tower = choose(unit.adapter, catalog, layers)
            vector = image_vector(picture, tower, host.device(), host.encoder_dtype())
            tokens = image_tokens(adapter.path, adapter.kind, vector, host.device())
            banks = keys_and_values(adapter.path, weights, tokens)
        except InstantStyleError as error:
            raise InstantStyleError(f"unit {i}: {error}") from error
        terms += [
            Term(layers.by_number[n].layer, weight, *banks[n], unit.start, unit.end)
            for n, weight in weights.items()
        ]
        written = replace(unit, adapter=adapter.name)
        infotext[KEY.format(len(infotext) + 1)] = unit_to_text(
            written, picture.sha256[:HASH_LENGTH]
        )
    return Prepared(Plan(tuple(terms)), infotext)


def _reference(unit: Unit, host: Host) -> Picture:
    if unit.image is None:
        raise InstantStyleError(
            "it is on but has no reference; drop a picture, or untick InstantStyle."
        )
    if unit.image.startswith(("http://", "https://")):
        image = host.download(unit.image).convert("RGB")
        digest = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
        return Picture(image, digest)
    return decode_picture(unit.image)
