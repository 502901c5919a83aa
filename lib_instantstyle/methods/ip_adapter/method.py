"""IP-Adapter with InstantStyle's choice of blocks: from units to the terms of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensors import check_range
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods.base import (
    BlockPlan,
    Findings,
    Method,
    Part,
    ReferencePlan,
    StatusText,
    naming,
)
from lib_instantstyle.methods.ip_adapter.banks import banks
from lib_instantstyle.methods.ip_adapter.colour_texture import (
    beside,
    check_sides,
    stands_beside_style,
)
from lib_instantstyle.methods.ip_adapter.content import check_content, words_in_line
from lib_instantstyle.methods.ip_adapter.cost import unit_cost
from lib_instantstyle.methods.ip_adapter.features import (
    CheckedUnit,
    Features,
    encode_together,
    unit_features,
)
from lib_instantstyle.methods.ip_adapter.remarks import remark
from lib_instantstyle.methods.ip_adapter.saved_style import saved_style
from lib_instantstyle.methods.ip_adapter.saving import style_of
from lib_instantstyle.methods.ip_adapter.status import LastAuto, describe
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.models.selection import (
    Choice,
    choose,
    fits,
    image_encoder_for,
)
from lib_instantstyle.references.crops import marked_box
from lib_instantstyle.references.store import keep_files, save_crops
from lib_instantstyle.references.unit_pictures import UnitPictures, pictures_of
from lib_instantstyle.references.vectors import remembered
from lib_instantstyle.references.views import input_views, reference_input
from lib_instantstyle.session import SESSION
from lib_instantstyle.styles.file import Style
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.plan import AttentionTerm, Plan, layer_weights
from lib_instantstyle.units.choices import AUTO, SEPARATED
from lib_instantstyle.units.infotext import CONTENT_KEY, INFOTEXT_KEY, unit_to_text
from lib_instantstyle.units.presets import BlockWeight
from lib_instantstyle.units.unit import Unit

Ready = tuple[CheckedUnit, Features]


class IPAdapterPart(Part):
    """See Part."""

    def for_checkpoint(self, context: Context) -> Part:
        return METHOD.prepare(self.all_units, context)


class IPAdapter(Method):
    """See Method."""

    def describe(self, unit: Unit, context: Context) -> StatusText:
        return describe(unit, context)

    def check(self, unit: Unit, context: Context, findings: Findings) -> CheckedUnit | None:
        layers = context.layers
        weights: dict[int, BlockWeight] = {}
        if layers is not None:
            with findings.noting():
                weights = layer_weights(unit, layers)
                if not weights:  # nothing to add, nothing to check
                    if unit.acts:
                        findings.idle("it changes nothing, because no block has a weight.")
                    return None
                findings.plan.blocks = _block_plans(weights, layers)
        pictures = pictures_of(unit, context, findings.noting)
        if pictures.reference_mask is not None:
            for picture in pictures.references:
                with findings.noting():
                    marked_box(picture.image, pictures.reference_mask.image)
        if layers is None or not weights:
            _note_references(findings, pictures, None, context)
            return None
        checked = None
        with findings.noting():
            checked = _chosen(unit, pictures, context, weights)
        _note_references(findings, pictures, checked, context)
        if checked is None:
            return None
        choice = checked.choice
        findings.plan.adapter = choice.adapter.name
        findings.plan.kind = choice.adapter.kind.projection.title
        findings.plan.encoder = choice.image_encoder.name
        findings.plan.style = unit.style or None
        if unit.content or unit.auto_content:
            check_content(checked, context, findings)
        if checked.style is not None or pictures.references:
            remark(checked, context, findings)
            findings.cost = partial(unit_cost, checked, context)
        return checked

    @torch.no_grad()
    def part(self, checked: Sequence[tuple[Unit, Any]], context: Context) -> Part:
        by_adapter: dict[Path, list[Ready]] = {}
        infotext: dict[str, str] = {}
        comments: list[str] = []
        encode_together([found for _, found in checked], context)
        for unit, found in checked:
            adapter = found.choice.adapter
            if unit.adapter == AUTO and not unit.style:
                SESSION.of(LastAuto).names[context.known_layers.layout.id] = adapter.name
            with naming(unit, context):
                _save_crops(found, context)
                keep_files(found.pictures.all, context.host.reference_folder(), context.notify)
                ready = found, unit_features(found, context)
            by_adapter.setdefault(adapter.path, []).append(ready)
            if not unit.tag:  # a tag stands in the prompt, which infotext holds already
                line = unit_to_text(unit.changed(adapter=adapter.name), found.pictures.hashes)
                infotext[INFOTEXT_KEY.format(unit.number)] = line
            if suggested := ready[1].suggested:
                words = words_in_line(suggested)
                infotext[CONTENT_KEY.format(unit.number)] = words
                comments.append(f"{unit.title} takes out what its reference suggests: {words}.")
        terms = [term for group in by_adapter.values() for term in _terms(group, context)]
        units = [unit for unit, _ in checked]
        return IPAdapterPart(units, Plan(tuple(terms)), infotext, comments)

    def image_encoder(self, unit: Unit, context: Context) -> ImageEncoderFile | None:
        layers = context.known_layers
        selected = layer_weights(unit, layers) or None  # none where the palette acts alone
        return choose(unit.adapter, context.catalog, layers, selected).image_encoder

    @torch.no_grad()
    def style_of(self, unit: Unit, context: Context) -> Style:
        with naming(unit, context):
            checked = _for_another_family(unit, context)
            checked = checked or self.check(unit, context, Findings(unit))
        if checked is None:
            raise InstantStyleError("all weights are 0; give one to the blocks that matter.")
        return style_of(checked, context)


METHOD = IPAdapter()


def _chosen(
    unit: Unit, pictures: UnitPictures, context: Context, weights: dict[int, BlockWeight]
) -> CheckedUnit:
    """`unit` with its files and layers. Raises InstantStyleError if a file is missing or unfit."""
    layers, style = context.known_layers, None
    if unit.style and stands_beside_style(unit):
        check_sides(unit, 1 + len(pictures.references))
        style, choice = saved_style(unit, context, weights)
        of_sides = beside(style.info.separates, style.info.weights, pictures.weights)
        pictures = replace(pictures, weights=tuple(of_sides))
    elif unit.style and not unit.image:
        style, choice = saved_style(unit, context, weights)
        pictures = replace(pictures, weights=style.info.weights)
    else:
        if unit.combine in SEPARATED and unit.image:
            check_sides(unit, len(pictures.references))
        choice = choose(unit.adapter, context.catalog, layers, weights)
    held = {number: weight for number, weight in weights.items() if number not in choice.muted}
    return CheckedUnit(unit, pictures, choice, held, style)


def _for_another_family(unit: Unit, context: Context) -> CheckedUnit | None:
    """`unit` without layers, if it names an adapter that does not fit the loaded checkpoint.

    A style holds what the adapter's image encoder sees, for checkpoints that the adapter does fit.
    """
    if unit.adapter == AUTO or context.layers is None:
        return None
    adapter = context.catalog.adapter(unit.adapter)
    if fits(adapter, context.layers):
        return None
    pictures = pictures_of(unit, context)
    if pictures.reference_mask is not None:
        for picture in pictures.references:
            marked_box(picture.image, pictures.reference_mask.image)
    encoder = image_encoder_for(adapter, context.catalog)
    return CheckedUnit(unit, pictures, Choice(adapter, encoder, ()), {})


def _block_plans(weights: dict[int, BlockWeight], layers: UnetLayers) -> list[BlockPlan]:
    plans = []
    for block in layers.layout.blocks:
        own = [weights[n] for n in weights if layers.by_number[n].layer.block is block]
        if own:
            plans.append(
                BlockPlan(block.index, block.diffusers, own[0].weight, own[0].negated, len(own))
            )
    return plans


def _note_references(
    findings: Findings, pictures: UnitPictures, checked: CheckedUnit | None, context: Context
) -> None:
    if not findings.is_dry_run:
        return
    from lib_instantstyle.hosts.page import is_api_public

    for picture, weight in zip(pictures.references, pictures.weights):
        known = None  # for strangers: it would tell them what others have sent
        if checked is not None and not is_api_public():
            adapter, encoder = checked.choice.adapter, checked.choice.image_encoder
            if checked.style is not None:  # whose encoder is a name alone
                encoder = image_encoder_for(adapter, context.catalog)
            hidden = adapter.kind.projection.takes_hidden_states
            encoder_input = reference_input(picture, checked.unit, pictures.reference_mask)
            known = remembered(encoder_input, encoder, hidden, context)
        plan = ReferencePlan(*picture.size, picture.sha256, weight, known is not None)
        findings.plan.references.append(plan)


def _terms(group: Sequence[Ready], context: Context) -> list[AttentionTerm]:
    """The terms of all units with one adapter, whose file is read at most once for them."""
    adapter = group[0][0].choice.adapter
    wanted = [(sorted(checked.block_weights), features.stack) for checked, features in group]
    with naming(group[0][0].unit, context):
        found = banks(adapter, wanted, context.host.device())
    terms = []
    for (checked, features), own in zip(group, found):
        for number, weight in checked.block_weights.items():
            bank = own[number]
            layer = context.known_layers.by_number[number].layer
            mask = checked.pictures.mask
            term = attention_term(layer, weight, bank, checked.unit, features.weights, mask)
            term = replace(term, source=adapter.path.name)
            with naming(checked.unit, context):
                check_range(term.largest, term.source)
            terms.append(term)
    return terms


def _save_crops(checked: CheckedUnit, context: Context) -> None:
    folder, size = context.host.crops_folder(), checked.choice.image_encoder.kind.image_size
    if folder is None:
        return
    unit, mask = checked.unit, checked.pictures.reference_mask
    for picture in checked.pictures.references:
        key = reference_input(picture, unit, mask).key
        views = input_views(picture, unit, size, mask)
        if sentence := save_crops(picture.sha256, key, views, folder):
            context.notify(sentence)
