"""B-LoRA: the style block, the content block or both of a LoRA file, added during sampling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.model_file import read_errors, read_tensors
from lib_instantstyle.hosts import lora_folders
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.live import queue_lock_if_free
from lib_instantstyle.layout import SDXL, Layout
from lib_instantstyle.methods.b_lora.fields import SQUARED
from lib_instantstyle.methods.b_lora.files import check_lora, read_terms
from lib_instantstyle.methods.b_lora.layers import (
    BLOCK_OF_HALF,
    CONTENT,
    STYLE,
    Halves,
    lora_halves,
)
from lib_instantstyle.methods.base import BlockPlan, Findings, Method, Part, StatusText, naming
from lib_instantstyle.models.lora_files import find_lora, lora_files
from lib_instantstyle.unet.plan import LoraTerm, Plan, when_of
from lib_instantstyle.units.infotext import INFOTEXT_KEY, unit_to_text
from lib_instantstyle.units.unit import Unit

_UNUSED = (
    "image",
    "style",
    "blocks",
    "content",
    "negative_image",
    "reference_mask",
    "auto_weight",
    "report",
)


@dataclass(frozen=True)
class ChosenLora:
    """A LoRA file and what a unit takes of it."""

    name: str  # as listed
    path: Path
    halves: Halves  # those with a strength other than 0
    amounts: Mapping[str, float]  # factor of the LoRA, by half


class BLoraPart(Part):
    """See Part."""

    def for_checkpoint(self, context: Context) -> Part:
        return METHOD.prepare(self.all_units, context)


class BLora(Method):
    """See Method."""

    def describe(self, unit: Unit, context: Context) -> StatusText:
        chosen = choose_lora(unit, context.known_layers.layout)
        if chosen is None:
            return StatusText("All strengths are 0, so nothing of the LoRA gets in.")
        parts = " and ".join(
            f"{len(layers)} layers of the {half} block at {chosen.amounts[half]:g}"
            for half, layers in chosen.halves.items()
        )
        return StatusText(
            f"{chosen.name} changes {parts}. A LoRA needs no reference and no image encoder."
        )

    def check(self, unit: Unit, context: Context, findings: Findings) -> ChosenLora | None:
        if context.layers is None:
            return None
        with findings.noting():
            chosen = choose_lora(unit, context.layers.layout)
            if chosen is None:
                findings.idle("it changes nothing, because its strengths are 0.")
                return None
            findings.plan.adapter, findings.plan.kind = chosen.name, "LoRA"
            for half, layers in chosen.halves.items():
                block, amount = BLOCK_OF_HALF[half], chosen.amounts[half]
                findings.plan.blocks.append(
                    BlockPlan(block.index, block.diffusers, amount, False, len(layers))
                )
            lacking: list[str] = []
            with queue_lock_if_free() as free, _finishing(chosen.path):
                if context.unet is not None and free:
                    lacking = check_lora(chosen.halves, context.unet)
            for remark in _remarks(unit, chosen, lacking):
                findings.remark(remark)
            return chosen
        return None

    def part(self, checked: Sequence[tuple[Unit, Any]], context: Context) -> Part:
        terms: list[LoraTerm] = []
        infotext: dict[str, str] = {}
        for unit, chosen in checked:
            with naming(unit, context):
                found = read_terms(chosen.path, chosen.halves, chosen.amounts, when_of(unit))
            terms += [replace(term, unit=unit.number) for term in found]
            key = INFOTEXT_KEY.format(unit.number)
            infotext[key] = unit_to_text(unit.changed(lora=chosen.name), {})
        return BLoraPart([unit for unit, _ in checked], Plan((), tuple(terms)), infotext)


METHOD = BLora()


def choose_lora(unit: Unit, layout: Layout) -> ChosenLora | None:
    """The LoRA of `unit`, told by the file's header; None if all strengths are 0.

    Raises InstantStyleError if the unit, the file or the checkpoint's layout does not fit.
    """
    amounts = _amounts(unit)
    if not amounts:
        return None
    _check(unit, layout)
    files = lora_files(lora_folders())
    name = find_lora(unit.lora, files)
    path = files[name]
    with read_errors(path):
        tensors = read_tensors(path)
    with _finishing(path):
        found = lora_halves(tensors)
    for half in amounts:
        if not found[half]:
            raise InstantStyleError(
                f"{path.name} holds nothing for the {half} block "
                f"({BLOCK_OF_HALF[half].diffusers}); set {half}_strength to 0, or choose another "
                "file."
            )
    return ChosenLora(name, path, {half: found[half] for half in amounts}, amounts)


def _remarks(unit: Unit, chosen: ChosenLora, lacking: Sequence[str]) -> Iterator[str]:
    """Sentences for the user that stop nothing."""
    if lacking:
        yield (
            f"the checkpoint lacks {len(lacking)} of the layers that {chosen.name} changes "
            f"(such as {lacking[0]}); they are left out."
        )
    unused = [name for name in _UNUSED if unit.differs(name)]
    if unit.leak_meter and "image" in unused:
        unused.remove("image")
    if unused:
        yield (
            "method 'b-lora' takes its style from the LoRA, and makes no use of "
            f"{', '.join(unused)}."
        )


def _amounts(unit: Unit) -> dict[str, float]:
    """The factor of each half's LoRA; halves with the factor 0 are left out.

    The published code multiplies both matrices of a layer by the strength, which squares it.
    """
    strengths = {STYLE: unit.style_strength, CONTENT: unit.content_strength}
    power = 2 if unit.lora_scaling == SQUARED else 1
    for half, strength in strengths.items():
        if power == 2 and strength < 0:
            raise InstantStyleError(
                f"{half}_strength is {strength:g}, which lora_scaling 'squared' would turn round; "
                "0 or more is allowed, or lora_scaling 'linear'."
            )
    amounts = {half: unit.weight * strength**power for half, strength in strengths.items()}
    return {half: amount for half, amount in amounts.items() if amount}


def _check(unit: Unit, layout: Layout) -> None:
    problem = None
    if layout is not SDXL:
        problem = (
            f"method is 'b-lora', whose blocks part style and content in SDXL; the checkpoint is "
            f"{layout.title}, load one of SDXL"
        )
    elif unit.mask:
        problem = "mask is given, but a LoRA acts on the whole picture; leave it out"
    elif unit.leak_meter and not unit.image:
        problem = "leak_meter is on, which compares with a reference; give image, or switch it off"
    if problem:
        raise InstantStyleError(f"{problem}.")


@contextmanager
def _finishing(path: Path) -> Iterator[None]:
    """Put the file's name before an error that is the end of a sentence."""
    try:
        yield
    except InstantStyleError as error:
        raise InstantStyleError(f"{path.name} {error}.") from error
