"""From units to a plan: references opened and encoded, adapters chosen and read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from lib_instantstyle.hosts import Host, model_folders
from lib_instantstyle.pure.catalog import scan
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.infotext import KEY, unit_to_text
from lib_instantstyle.pure.units import Unit
from lib_instantstyle.tensor.adapter import image_tokens, keys_and_values
from lib_instantstyle.tensor.embedding import feature_of
from lib_instantstyle.tensor.pictures import Picture, decode_picture, upright_rgb
from lib_instantstyle.tensor.plan import Plan, Term, describe_layers, layer_weights
from lib_instantstyle.tensor.selection import choose
from lib_instantstyle.tensor.unet import UnetLayers
from lib_instantstyle.webui.crops import save_crop
from lib_instantstyle.webui.subtracting import without_content

HASH_LENGTH = 12  # hexadecimal digits of a reference's hash in infotext


@dataclass(frozen=True)
class Prepared:
    """A plan and what to write about it."""

    plan: Plan
    infotext: dict[str, str]
    comments: tuple[str, ...] = ()  # what the user should be told beside the picture


@torch.no_grad()
def prepare(units: Sequence[Unit], layers: UnetLayers, host: Host, p: Any) -> Prepared:
    """Make the plan of `units` for the UNet of generation `p`.

    Raises InstantStyleError for anything that cannot be had: each sentence names the unit.
    """
    catalog = scan(model_folders())
    terms: list[Term] = []
    infotext: dict[str, str] = {}
    comments: list[str] = []
    for unit in units:
        try:
            weights = layer_weights(unit, layers)
            if not weights:
                continue  # own block weights that are all zero: nothing to add, nothing to check
            picture = reference(unit, host)
            choice = choose(unit.adapter, catalog, layers, weights)
            adapter = choice.adapter
            if choice.muted:
                comments.append(
                    f"InstantStyle: adapter {adapter.name} holds nothing for "
                    f"{describe_layers(choice.muted, layers)}; this part stays without style."
                )
                weights = {n: weight for n, weight in weights.items() if n not in choice.muted}
            crops = host.crops_folder()
            if crops and (sentence := save_crop(picture, choice.tower.kind.image_size, crops)):
                comments.append(sentence)
            feature, zero_image = feature_of(
                picture,
                adapter.kind,
                choice.tower,
                host.device(),
                host.encoder_dtype(),
                host.keeps_encoder(),
            )
            feature = without_content(feature, unit, adapter, catalog, host, p, comments.append)
            tokens = image_tokens(adapter.path, adapter.kind, feature, host.device(), zero_image)
            banks = keys_and_values(adapter.path, weights, tokens)
        except InstantStyleError as error:
            raise InstantStyleError(f"unit {unit.number}: {error}") from error
        terms += [
            Term(layers.by_number[n].layer, weight, *banks[n], unit.start, unit.end)
            for n, weight in weights.items()
        ]
        written = replace(unit, adapter=adapter.name)
        infotext[KEY.format(unit.number)] = unit_to_text(
            written, {"image": picture.sha256[:HASH_LENGTH]}
        )
    return Prepared(Plan(tuple(terms)), infotext, tuple(comments))


def reference(unit: Unit, host: Host) -> Picture:
    """The unit's reference picture; raises InstantStyleError if it has none."""
    if not unit.image:
        raise InstantStyleError(
            "it is on but has no reference; drop a picture, or untick InstantStyle."
        )
    text = unit.image[0].image
    if text.startswith(("http://", "https://")):
        image = upright_rgb(host.download(text))
        digest = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
        return Picture(image, digest)
    return decode_picture(text)
