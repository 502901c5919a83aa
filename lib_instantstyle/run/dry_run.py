"""A dry run: what a generation would do with its units, and every reason why it could not.

The checks are those of a generation, made one by one, so that several problems are found and not
the first alone. No model is loaded and no picture is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.content.subtraction import content_texts, describe_subtraction
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import Host, LoadedCheckpoint, current, model_folders
from lib_instantstyle.hosts.checkpoint import checkpoint_in_memory, chosen_layers, chosen_name
from lib_instantstyle.methods import B_LORA, IP_ADAPTER, STYLEID, TABLE
from lib_instantstyle.methods.attention_methods import problems, works_on_self_attention
from lib_instantstyle.methods.b_lora.layers import BLOCKS
from lib_instantstyle.methods.b_lora.method import choose_lora, fit
from lib_instantstyle.methods.b_lora.method import remarks as lora_remarks
from lib_instantstyle.methods.findings import BlockPlan, DryRun, ReferencePlan, UnitPlan
from lib_instantstyle.methods.ip_adapter.checked import CheckedUnit, remarks
from lib_instantstyle.methods.ip_adapter.saved_style import saved_style
from lib_instantstyle.methods.ip_adapter.terms import when_of
from lib_instantstyle.methods.self_attention import FIRST_OF_BATCH, blocks_of, takes_first_of_batch
from lib_instantstyle.models.catalog import Catalog, scan
from lib_instantstyle.models.selection import Choice, choose
from lib_instantstyle.references.unit_pictures import UnitPictures, pictures_of
from lib_instantstyle.references.vectors import is_remembered
from lib_instantstyle.references.views import reference_input
from lib_instantstyle.run.leak import check_meter
from lib_instantstyle.run.requested import AskedGeneration
from lib_instantstyle.styles.file import Style
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.plan import layer_weights
from lib_instantstyle.units.choices import BASE, HIRES
from lib_instantstyle.units.field import SELF_ATTENTION
from lib_instantstyle.units.unit import NO_REFERENCE, Unit

_OTHER_PICTURES = ("negative_image", "reference_mask", "mask")


@dataclass(frozen=True)
class Circumstances:
    """What of a generation matters beside its units."""

    steps: int = 20
    hires_steps: int = 0  # of hires fix's second pass; 0 without it
    cfg_scale: float = 7.0
    generation: AskedGeneration | None = None  # where the request is that of a generation
    checkpoint: str = ""  # one that the request names for itself
    tagged: Sequence[
        Unit
    ] = ()  # units that the tags in its prompt stand for, numbered after `given`


def dry_run(given: Sequence[Mapping[str, object]], circumstances: Circumstances) -> DryRun:
    """Check the units of a request, in the form of `given_units`, for the chosen checkpoint."""
    tagged, override = circumstances.tagged, circumstances.checkpoint
    problems = [] if given or tagged else ["InstantStyle is off: no unit was sent."]
    name, layers = None, None
    try:
        name = chosen_name(override)
        layers = chosen_layers(override)
    except InstantStyleError as error:
        problems.append(str(error))
    loaded = checkpoint_in_memory(override) if name else None
    catalog = scan(model_folders())
    units = [UnitPlan(number) for number in range(1, len(given) + 1)]
    parsed = [_parsed(values, made) for values, made in zip(given, units)]
    units += [UnitPlan(unit.number) for unit in tagged]
    parsed += tagged
    for made, unit in zip(units, parsed):
        with made.noting():
            _Check(made, unit, parsed, layers, catalog, loaded, circumstances).run()
        problems += [_named(made.unit, text) for text in (*made.problems, *made.idle)]
    return DryRun(name, layers.layout.id if layers else None, loaded is not None, units, problems)


def _named(number: int, problem: str) -> str:
    """`problem` with the number of its unit, unless it speaks of it itself."""
    return problem if problem.startswith(f"Unit {number} ") else f"unit {number}: {problem}"


def _parsed(values: Mapping[str, object], made: UnitPlan) -> Unit:
    """The unit with those fields that are sound."""
    sound = {}
    for key, value in values.items():
        with made.noting():
            TABLE.parse_unit({key: value}, made.unit)
            sound[key] = value
    with made.noting():
        return TABLE.parse_unit(sound, made.unit)
    return TABLE.unit_type(number=made.unit)


@dataclass
class _Check:
    """The checks of one unit; each notes its own problem."""

    made: UnitPlan
    unit: Unit
    units: Sequence[Unit]  # all of them
    layers: UnetLayers | None
    catalog: Catalog
    loaded: LoadedCheckpoint | None
    circumstances: Circumstances
    style: Style | None = None

    def run(self) -> None:
        self.made.method = self.unit.method
        self._effect()
        if self.unit.method == B_LORA.name:
            self._lora()
            return
        host = current(self.loaded or LoadedCheckpoint(None))
        if self.unit.declared.excludes == SELF_ATTENTION and self.layers is not None:
            self._attended(self.layers, host)
        if takes_first_of_batch(self.unit):
            self._batch()
            return
        pictures = self._pictures(host)
        if self.unit.method != IP_ADAPTER.name or self.layers is None:
            self._references(pictures, None, host)
            return
        choice = self._choice(self.layers)
        self._references(pictures, choice, host)
        if choice is not None:
            with self.made.noting():
                check_meter(self.unit, self.layers, self.catalog)
            self._subtraction(choice, host)
            if pictures:
                block_weights = self._layer_weights(self.layers)
                checked = CheckedUnit(self.unit, pictures[0], choice, block_weights, self.style)
                said = remarks(checked, self.layers, self.circumstances.cfg_scale)
                self.made.remarks += said

    def _effect(self) -> None:
        """Why the unit would change nothing, and in which steps it acts."""
        unit, of = self.unit, self.circumstances
        if not unit.enabled:
            self.made.idle.append("it is off.")
        if not any((unit.weight, unit.layout_weight, unit.boost)):
            self.made.idle.append("it changes nothing, because its weight is 0.")
        if unit.start >= unit.end:
            self.made.idle.append(
                f"it changes nothing, because start ({unit.start:g}) is not before end "
                f"({unit.end:g})."
            )
            return
        if unit.hires_pass == HIRES and not of.hires_steps:
            self.made.idle.append("it acts in hires fix's second pass only, and there is none.")
            return
        acting_steps = when_of(unit).acting_steps
        if unit.hires_pass != HIRES:
            self.made.steps = [step + 1 for step in acting_steps(of.steps)]
        if unit.hires_pass != BASE:
            self.made.hires_steps = [step + 1 for step in acting_steps(of.hires_steps)]
        if not self.made.steps and not self.made.hires_steps:
            self.made.idle.append(f"no sampling step of {of.steps} falls between start and end.")

    def _attended(self, layers: UnetLayers, host: Host) -> None:
        """The blocks whose self-attention is changed, and what stands in the method's way."""
        with self.made.noting():
            of = [found.layer.block.index for found in layers.by_number.values()]
            self.made.blocks = [
                BlockPlan(block.index, block.diffusers, 1.0, False, of.count(block.index))
                for block in layers.layout.blocks
                if block.index in blocks_of(self.unit, layers.layout)
            ]
        generation = self.circumstances.generation or AskedGeneration(self.circumstances.steps)
        unet = host.unet(self.loaded) if self.loaded else None
        acting = [unit for unit in self.units if unit.acts]
        if next(filter(works_on_self_attention, acting), None) is self.unit:
            self.made.problems += problems(acting, generation, unet)
        if self.unit.method == STYLEID.name and self.circumstances.generation is None:
            self.made.remarks.append("it needs a picture to change; use it in img2img.")

    def _batch(self) -> None:
        """The first picture of each batch would be the reference."""
        generation = self.circumstances.generation
        if generation is None or generation.batch_size > 1:
            more = "" if generation else " That takes a batch of two or more."
            self.made.remarks.append(f"{FIRST_OF_BATCH}{more}")
        else:
            self.made.problems.append(NO_REFERENCE.format(self.unit.number))

    def _lora(self) -> None:
        if self.layers is None:
            return
        with self.made.noting():
            chosen = choose_lora(self.unit, self.layers.layout)
            if chosen is None:
                self.made.idle.append("it changes nothing, because its strengths are 0.")
                return
            self.made.adapter, self.made.kind = chosen.name, "LoRA"
            for half, layers in chosen.halves.items():
                block, amount = BLOCKS[half], chosen.amounts[half]
                self.made.blocks.append(
                    BlockPlan(block.index, block.diffusers, amount, False, len(layers))
                )
            lacking = fit(chosen, current(self.loaded).unet(self.loaded)) if self.loaded else []
            self.made.remarks += lora_remarks(self.unit, chosen, lacking)

    def _pictures(self, host: Host) -> list[UnitPictures]:
        """What each reference shows, each alone; nothing in them where a saved style serves."""
        alone = self.unit.changed(negative_image=None, reference_mask=None, mask=None)
        if alone.image and alone.style:
            with self.made.noting():
                pictures_of(alone, host)
            alone = alone.changed(style="")
        each = [alone.changed(image=(reference,)) for reference in alone.image] or [alone]
        found = []
        for unit in each:
            with self.made.noting():
                found.append(pictures_of(unit, host))
        for name in _OTHER_PICTURES:
            if found and getattr(self.unit, name):
                with self.made.noting():
                    pictures_of(each[0].changed(**{name: getattr(self.unit, name)}), host)
        return found

    def _layer_weights(self, layers: UnetLayers) -> dict[int, Any]:
        return layer_weights(self.unit, layers)

    def _choice(self, layers: UnetLayers) -> Choice | None:
        with self.made.noting():
            weights = self._layer_weights(layers)
            if not weights:
                if self.unit.blocks and self.unit.weight:
                    self.made.idle.append("it changes nothing, because no block has a weight.")
                return None
            self.made.blocks = [
                BlockPlan(block.index, block.diffusers, of[0].weight, of[0].negated, len(of))
                for block in layers.layout.blocks
                if (of := [weights[n] for n in weights if layers.by_number[n].layer.block is block])
            ]
            if self.unit.style:
                style, choice = saved_style(self.unit, self.catalog, layers, weights)
                self.made.style = self.unit.style
                self.style = style
            else:
                choice = choose(self.unit.adapter, self.catalog, layers, weights)
            self.made.adapter = choice.adapter.name
            self.made.kind = choice.adapter.kind.projection.title
            self.made.encoder = choice.image_encoder.name
            return choice
        return None

    def _references(self, pictures: list[UnitPictures], choice: Choice | None, host: Host) -> None:
        for each in pictures if not self.unit.style else ():
            picture, weight = each.references[0], each.weights[0]
            remembered = False
            if choice is not None:
                hidden = choice.adapter.kind.projection.takes_hidden_states
                encoder_input = reference_input(picture, self.unit, each.reference_mask)
                remembered = is_remembered(
                    encoder_input,
                    choice.image_encoder,
                    host.encoder_dtype(),
                    hidden,
                    host.embedding_files(),
                )
            size = picture.image.size
            self.made.references.append(ReferencePlan(*size, picture.sha256, weight, remembered))

    def _subtraction(self, choice: Choice, host: Host) -> None:
        if self.loaded is None:
            if content_texts(self.unit.content) and self.unit.content_scale:
                self.made.remarks.append(
                    "the checkpoint is not in memory yet: its text encoder was not asked whether "
                    "content can be taken out."
                )
            return
        with self.made.noting():
            self.made.subtracted = describe_subtraction(
                self.unit, choice.adapter, self.catalog, host, self.loaded
            )
