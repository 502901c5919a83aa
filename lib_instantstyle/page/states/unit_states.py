"""The state of each unit on the page: off, no reference, needs a file, conflict, idle, or ready.

The checks are those of a generation: what would be refused is a conflict here. A repair is offered
only if the same checks pass with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lib_instantstyle.api.request import requested_generation
from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.page import is_public
from lib_instantstyle.methods import TABLE, load
from lib_instantstyle.methods.base import Findings, StatusText
from lib_instantstyle.models.published import size_in_words, size_of
from lib_instantstyle.page.controls import page_value
from lib_instantstyle.page.markup import error_sentence, value_in_words
from lib_instantstyle.page.states.facts import TXT2IMG, Facts
from lib_instantstyle.run.dry_run import check_units, parsed_unit
from lib_instantstyle.units.unit import NO_REFERENCE, Unit
from lib_instantstyle.units.values import GONE

OFF, EMPTY, FILE, CONFLICT, IDLE, READY = "off", "empty", "file", "conflict", "idle", "ready"
_UNIT_OFF = "This unit is off."
_ALL_OFF = "InstantStyle is switched off."
_EMPTY = "No reference yet: drop a picture, or choose a saved style."
_PALETTE_ALONE = "The palette of the reference acts alone: the style's weight is 0."
_KEPT = ("enabled", "method", *TABLE.pictures)  # what no reset of a single field may change


@dataclass(frozen=True)
class Repair:
    """A button that mends a state.

    title: on the button. request: what the page's script does. changes: the values that the unit
    then has, for the checks.
    """

    title: str
    request: Mapping[str, object]
    changes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class UnitState:
    """kind: one of the six above. text: sentences. block_map: see StatusText."""

    kind: str
    text: str
    block_map: Mapping[str, object] | None = None
    repair: Repair | None = None


class Page:
    """The units of one accordion as the page shows them, and what the checks say of them."""

    def __init__(self, units: Sequence[Mapping[str, object]], facts: Facts, context: Any) -> None:
        """units: the page's values. context: of the chosen checkpoint, or the error instead."""
        self.facts = facts
        self.context = context
        self._values = [
            {**values, **facts.of_unit(number)} for number, values in enumerate(units, start=1)
        ]

    def states(self) -> list[UnitState]:
        """The state of each unit."""
        return [self._state(number) for number in range(1, len(self._values) + 1)]

    def problems(self, number: int, changes: Mapping[str, object] | None = None) -> list[str]:
        """Why unit `number`, switched on and with `changes`, would be refused or change nothing."""
        refused, idle = self._checked(number, changes)
        return [*refused, *idle]

    def _checked(
        self, number: int, changes: Mapping[str, object] | None = None
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Why the unit would be refused, and why it would change nothing."""
        if isinstance(self.context, Exception):
            return [_sentence(self.context)], []
        given = [dict(values) for values in self._values]
        given[number - 1].update({"enabled": True, **(changes or {})})
        try:
            if given == self._values:  # what the page shows
                _, findings = self._as_shown[number - 1]
            else:
                _, findings = check_units(given, self.context, only=number)[number - 1]
        except OSError as error:  # whatever has become of a file in the meantime
            return [f"A file cannot be read ({reason(error)})."], []
        return findings.plan.problems, findings.plan.idle

    @cached_property
    def _as_shown(self) -> Sequence[tuple[Unit, Findings]]:
        """The checks of all units as they are, which all that are on share."""
        return check_units(self._values, self.context)

    def _state(self, number: int) -> UnitState:
        values = self._values[number - 1]
        unit, findings = parsed_unit({**values, "enabled": True}, number)
        found = self._described(unit)
        if isinstance(found, Exception) and not values["enabled"]:
            text = f"{_UNIT_OFF} {_sentence(found, number)}"
            return UnitState(OFF, text, repair=_switch_on(number))
        if isinstance(found, Exception):
            return UnitState(CONFLICT, _sentence(found, number))
        unfit = [_sentence(problem, number) for problem in findings.plan.problems]
        state = self._kind(unit, values, unfit, found)
        return replace(state, block_map=found.block_map)

    def _described(self, unit: Unit) -> Any:
        """The status of `unit` by its method; the error if there is none."""
        if isinstance(self.context, Exception):
            return self.context
        try:
            return load(unit.method).describe(unit, self.context)
        except InstantStyleError as error:
            # A value that does not suit the checkpoint must not take the block map away.
            plain = unit.changed(blocks=TABLE.fields["blocks"].default)
            if not unit.blocks:
                return error
            found = self._described(plain)
            return (
                found
                if isinstance(found, Exception)
                else replace(found, text=_sentence(error, unit.number), is_problem=True, files=None)
            )
        except OSError as error:
            return InstantStyleError(f"A file cannot be read ({reason(error)}).")

    def _kind(
        self, unit: Unit, values: Mapping[str, object], unfit: Sequence[str], found: StatusText
    ) -> UnitState:
        number = unit.number
        is_off = not values["enabled"]
        if unit.palette and not unit.uses_method:  # whatever adapter there is, it is not used
            found = StatusText(_PALETTE_ALONE)
        if is_off:
            return UnitState(OFF, f"{_UNIT_OFF} {found.text}", repair=_switch_on(number))
        if found.files is not None and not unfit:
            return UnitState(FILE, found.text, repair=_download(found.files))
        idle = " ".join(_sentence(text, number) for text in unit.why_idle)
        if idle and not unfit:
            return UnitState(IDLE, idle, repair=self._idle_repair(unit))
        problems, nothing = (unfit, ()) if unfit else self._checked(number)
        empty = NO_REFERENCE.format(number)
        others = [_sentence(text, number) for text in problems if text != empty]
        if others or nothing or found.is_problem:
            kind = CONFLICT if others or not nothing else IDLE
            text = " ".join(others or [_sentence(each, number) for each in nothing]) or found.text
            return UnitState(kind, text, repair=self._repair(unit, values))
        if empty in problems:
            return UnitState(EMPTY, f"{_EMPTY} {found.text}")
        if not self.facts.is_on:
            return UnitState(OFF, f"{_ALL_OFF} {found.text}", repair=_switch_on(number))
        return UnitState(READY, found.text)

    def _repair(self, unit: Unit, values: Mapping[str, object]) -> Repair | None:
        """The first change of one thing with which nothing is refused any more."""
        empty = NO_REFERENCE.format(unit.number)
        for repair in self._repairs(unit, values):
            if all(text == empty for text in self._problems_after(unit, repair)):
                return repair
        return None

    def _problems_after(self, unit: Unit, repair: Repair) -> Sequence[str]:
        if repair.request["do"] == "img2img":
            facts = replace(self.facts, tab="img2img")
            there = Page(self._values, facts, context_for(facts, self.context))
            return there.problems(unit.number)
        after, findings = parsed_unit(
            {**self._values[unit.number - 1], **repair.changes, "enabled": True}, unit.number
        )
        if repair.changes.get("enabled") is False:
            return ()
        found = self._described(after)
        if isinstance(found, Exception) or found.is_problem:
            return [str(found)]
        return [*findings.plan.problems, *self.problems(unit.number, repair.changes)]

    def _repairs(self, unit: Unit, values: Mapping[str, object]) -> Iterator[Repair]:
        """Repairs to try, in this order."""
        if values["blocks"]:
            yield _set(unit, "Clear own block weights", {"blocks": ""})
        kept = [
            {"image": each.image, "weight": each.weight}
            for each in unit.image
            if GONE not in each.image
        ]
        gone = {name: "" for name in TABLE.pictures if GONE in str(values[name])}
        if gone:
            request: dict[str, object] = {"do": "keep", "unit": unit.number, "first": False}
            changes = {**gone, "image": kept} if "image" in gone else gone
            yield Repair("Remove what is not kept", request, changes)
        if values["style"]:
            yield _set(unit, "Clear the saved style", {"style": ""})
        yield from self._resets(unit, values)
        if self.facts.tab == TXT2IMG:
            yield Repair("Send to img2img", {"do": "img2img"})
        # What takes a picture away comes last.
        if len(kept) > 1:
            request = {"do": "keep", "unit": unit.number, "first": True}
            yield Repair("Keep the first picture alone", request, {"image": kept[:1]})
        for name in TABLE.pictures:
            if values[name]:
                title = f"Remove the picture of “{TABLE.fields[name].label}”"
                if name == "image":
                    title = "Remove the reference"
                request = {"do": "clear", "unit": unit.number, "picture": name}
                yield Repair(title, request, {name: ""})
        if unit.number > 1:
            yield _set(unit, "Switch this unit off", {"enabled": False})

    def _resets(self, unit: Unit, values: Mapping[str, object]) -> Iterator[Repair]:
        """Each field that is not as usual, set to its default."""
        usual = TABLE.unit_type()
        for name in TABLE.page_fields:
            default = page_value(usual, name)
            if name not in _KEPT and values.get(name, default) != default:
                label = TABLE.fields[name].label
                yield _set(unit, f"Set “{label}” to {value_in_words(default)}", {name: default})

    def _idle_repair(self, unit: Unit) -> Repair | None:
        """What makes a unit act that changes nothing."""
        usual = TABLE.unit_type()
        resets = {name: page_value(usual, name) for name in ("weight", "start", "end")}
        for name, default in resets.items():
            if unit.differs(name) and unit.changed(**{name: getattr(usual, name)}).acts:
                label = TABLE.fields[name].label
                return _set(unit, f"Set “{label}” to {value_in_words(default)}", {name: default})
        return None


def context_for(facts: Facts, context: Any) -> Any:
    """`context` with a generation of the tab in the place of `p`."""
    if isinstance(context, Exception):
        return context
    pictures = {} if facts.tab == TXT2IMG else {"init_images": ["some picture"]}
    # Whether hires fix is on is not known, so that a unit for its second pass is no conflict.
    given = {"enable_hr": True, "denoising_strength": 1.0, **facts.request, **pictures}
    try:
        request = requested_generation({"alwayson_scripts": {}, **given})
    except InstantStyleError as error:
        return error
    # No UNet: the one in memory belongs to the generation that may be under way.
    return Context(replace(request, is_known="batch_size" in facts.request), layers=context.layers)


def _switch_on(number: int) -> Repair:
    return Repair("Switch on", {"do": "on", "unit": number})


def _set(unit: Unit, title: str, values: Mapping[str, object]) -> Repair:
    return Repair(title, {"do": "set", "unit": unit.number, "values": values}, values)


def _download(files: Sequence[str]) -> Repair | None:
    if not files or is_public():
        return None
    size = size_in_words(sum(size_of(name) for name in files))
    title = f"Download {' and '.join(files)} ({size})"
    return Repair(title, {"do": "download", "files": list(files)})


def _sentence(problem: object, number: int = 1) -> str:
    text = problem if isinstance(problem, Exception) else InstantStyleError(str(problem))
    return error_sentence(text, number)
