"""Units: what a user asked for, checked.

`Unit` is the one table of fields, defaults and ranges; API, page, infotext and plots read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from lib_instantstyle.pure.block_weights import BlockWeights, parse_block_weights
from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.pure.presets import DEFAULT_PRESET, PRESETS

AUTO = "auto"
TEXT_LIMIT = 1024  # characters of a name


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise InstantStyleError("true or false is allowed")


def _number(low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if low <= number <= high:
                return number
        raise InstantStyleError(f"a number from {low:g} to {high:g} is allowed")

    return parse


def _name(value: object) -> str:
    if isinstance(value, str) and len(value) <= TEXT_LIMIT:
        return value.strip() or AUTO
    raise InstantStyleError("the name of an adapter file, or 'auto', is allowed")


def _text(value: object) -> str:
    if isinstance(value, str) and len(value) <= TEXT_LIMIT:
        return value.strip()
    raise InstantStyleError(f"a text of up to {TEXT_LIMIT} characters is allowed")


def _one_of(*allowed: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        raise InstantStyleError(f"one of {', '.join(map(repr, allowed))} is allowed")

    return parse


def _picture(value: object) -> str | None:
    """One reference: its base64 text or data URL, bare, in an object, or in a list of one."""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        pictures = [p for p in map(_picture, value) if p]
        if len(pictures) <= 1:
            return pictures[0] if pictures else None
    elif isinstance(value, Mapping):
        if value.keys() <= {"image"}:
            return _picture(value.get("image"))
    elif value is None or isinstance(value, str):
        return value or None
    raise InstantStyleError('one picture as base64 text, data URL or {"image": ...} is allowed')


def _field(default: Any, parse: Callable[[object], Any], meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True)
class Unit:
    """One use of a reference, all values checked and of their final type."""

    enabled: bool = _field(True, _boolean, "unit on or off")
    image: str | None = _field(None, _picture, "reference picture: base64 text or data URL")
    adapter: str = _field(AUTO, _name, "IP-Adapter file, or auto")
    preset: str = _field(DEFAULT_PRESET, _one_of(*PRESETS), "which blocks get the style")
    blocks: BlockWeights = _field(
        BlockWeights(), parse_block_weights, "own block weights instead of the preset"
    )
    weight: float = _field(1.0, _number(-2, 5), "multiplies every block weight")
    content: str = _field("", _text, "what the reference shows and the picture should not")
    content_scale: float = _field(0.5, _number(0, 2), "how much of it to take out")
    content_mode: str = _field("difference", _one_of("difference", "projection"), "how")
    start: float = _field(0.0, _number(0, 1), "where in the sampling it begins")
    end: float = _field(1.0, _number(0, 1), "where in the sampling it ends")

    @property
    def acts(self) -> bool:
        """False where the unit cannot change a picture: off, weight 0 or an empty range."""
        return self.enabled and self.weight != 0 and self.start < self.end


FIELDS = {f.name: f for f in fields(Unit)}

# The order of the page's values. The picture comes last: the WebUI prints the arguments of a
# failed request, and the text of a picture would bury the rest.
PAGE_FIELDS = (
    "enabled",
    "preset",
    "weight",
    "content",
    "content_scale",
    "start",
    "end",
    "adapter",
    "blocks",
    "image",
)


def parse_unit(given: Mapping[str, object], label: str = "unit 1") -> Unit:
    """Check one unit given as an object; a field that is absent or null gets its default.

    Raises InstantStyleError: "unit 1: weight is 9; a number from -2 to 5 is allowed."
    """
    unknown = [key for key in given if key not in FIELDS]
    if unknown:
        raise InstantStyleError(
            f"{label}: the field {shorten(unknown[0])} is unknown; allowed are {', '.join(FIELDS)}."
        )
    values = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            values[name] = FIELDS[name].metadata["parse"](value)
        except InstantStyleError as error:
            problem = str(error)
            if not problem.endswith("."):  # block weights speak for themselves
                problem = f"{name} is {shorten(value)}; {problem}."
            raise InstantStyleError(f"{label}: {problem}") from None
    return Unit(**values)


def parse_arguments(arguments: Sequence[object]) -> list[Unit]:
    """The enabled units in a script's arguments, in any form that the API or the page sends.

    - objects in slot 0 (or from slot 1 on after a bool): each object is a unit, or holds `units`;
      other slots are the WebUI's defaults and are ignored;
    - the page's values in the order of PAGE_FIELDS;
    - nothing, or a first item of null, false or "": off, an empty list.
    """
    first = arguments[0] if arguments else None
    if first is None or first is False or first == "":
        return []
    objects = [item for item in arguments if isinstance(item, Mapping)]
    if isinstance(first, Mapping) or (
        first is True and len(arguments) > 1 and isinstance(arguments[1], Mapping)
    ):
        given = [unit for item in objects for unit in _units_of(item)]
    elif first is True and len(arguments) == len(PAGE_FIELDS):
        given = [dict(zip(PAGE_FIELDS, arguments))]
    else:
        raise InstantStyleError(
            f"args begins with {shorten(first)}; an object for each unit, true or false followed "
            'by objects, or one {"units": [...]} is allowed.'
        )
    units = [parse_unit(unit, f"unit {i + 1}") for i, unit in enumerate(given)]
    return [unit for unit in units if unit.enabled]


def _units_of(item: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    if "units" not in item:
        return [item]
    units = item["units"]
    if item.keys() != {"units"} or not isinstance(units, Sequence) or isinstance(units, str):
        raise InstantStyleError('units is not a list of objects; allowed is {"units": [{...}]}.')
    for i, unit in enumerate(units):
        if not isinstance(unit, Mapping):
            raise InstantStyleError(f"unit {i + 1} is {shorten(unit)}; an object is allowed.")
    return units
