"""From units to an injection plan: every step of DESIGN's way of the data, for all units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lib_instantstyle.hosts import Host, model_folders
from lib_instantstyle.methods.ip_adapter.checked import CheckedUnit, check, naming, remarks
from lib_instantstyle.methods.ip_adapter.features import Features, unit_features
from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.references.store import ReferenceStore, save_crops
from lib_instantstyle.references.views import input_views, reference_input
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.plan import AttentionTerm, Plan
from lib_instantstyle.units.infotext import INFOTEXT_KEY, unit_to_text
from lib_instantstyle.units.unit import Unit

Ready = tuple[CheckedUnit, Features]


@dataclass(frozen=True)
class Prepared:
    """A plan and what to write about it."""

    plan: Plan
    infotext: dict[str, str]
    comments: tuple[str, ...] = ()  # what the user should be told beside the picture

    def and_also(self, other: Prepared) -> Prepared:
        """Both together."""
        plan = Plan(self.plan.terms + other.plan.terms, self.plan.loras + other.plan.loras)
        return Prepared(plan, {**self.infotext, **other.infotext}, self.comments + other.comments)


@torch.no_grad()
def prepare(units: Sequence[Unit], layers: UnetLayers, host: Host, p: Any) -> Prepared:
    """Make the plan of `units` for the UNet of generation `p`.

    Raises InstantStyleError for anything that cannot be had: each sentence names the unit.
    """
    catalog = scan(model_folders())
    ready: list[Ready] = []
    infotext: dict[str, str] = {}
    comments: list[str] = []
    for unit in units:
        checked = check(unit, layers, catalog, host)
        if checked is None:
            continue
        comments += remarks(checked, layers, getattr(p, "cfg_scale", None) or 0.0)
        comments += _save_crops(checked, host)
        comments += _keep_pictures(checked, host)
        with naming(unit):
            ready.append((checked, unit_features(checked, catalog, host, p, comments.append)))
        if not unit.tag:  # a tag stands in the prompt, which infotext holds already
            written = unit.changed(adapter=checked.choice.adapter.name)
            infotext[INFOTEXT_KEY.format(unit.number)] = unit_to_text(
                written, checked.pictures.hashes
            )
    by_adapter: dict[Path, list[Ready]] = {}
    for each in ready:
        by_adapter.setdefault(each[0].choice.adapter.path, []).append(each)
    terms = [term for group in by_adapter.values() for term in _terms(group, layers, host)]
    said = tuple(f"InstantStyle: {comment}" for comment in dict.fromkeys(comments))
    return Prepared(Plan(tuple(terms)), infotext, said)


def _terms(group: Sequence[Ready], layers: UnetLayers, host: Host) -> list[AttentionTerm]:
    """The terms of all units with one adapter: its weights are read once for them."""
    adapter = group[0][0].choice.adapter
    stacks = [features for _, (features, _) in group]
    numbers = sorted({number for checked, _ in group for number in checked.block_weights})
    with naming(group[0][0].unit):
        tokens = image_tokens(adapter.path, adapter.kind, torch.cat(stacks), host.device())
        banks = keys_and_values(adapter.path, numbers, tokens)
    terms = []
    first = 0
    for checked, (features, weights) in group:
        rows = slice(first, first + len(features))
        first = rows.stop
        for number, block_weight in checked.block_weights.items():
            key, value = banks[number]
            layer = layers.by_number[number].layer
            mask = checked.pictures.mask
            terms.append(
                attention_term(
                    layer, block_weight, (key[rows], value[rows]), checked.unit, weights, mask
                )
            )
    return terms


def _save_crops(checked: CheckedUnit, host: Host) -> list[str]:
    folder, size = host.crops_folder(), checked.choice.image_encoder.kind.image_size
    if folder is None:
        return []
    unit, mask = checked.unit, checked.pictures.reference_mask
    said = (
        save_crops(
            picture.sha256,
            reference_input(picture, unit, mask).key,
            input_views(picture, unit, size, mask),
            folder,
        )
        for picture in checked.pictures.references
    )
    return [sentence for sentence in said if sentence]


def _keep_pictures(checked: CheckedUnit, host: Host) -> list[str]:
    folder = host.reference_folder()
    if folder is None:
        return []
    store = ReferenceStore(folder)
    said = (store.put(file) for file in checked.pictures.files if file)
    return [sentence for sentence in said if sentence]
