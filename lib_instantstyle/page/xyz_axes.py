"""The axes of the X/Y/Z plot: the fields, one block after the other, and the reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.file_lists import FILE_LISTS
from lib_instantstyle.page.xyz_files import picture_in_file, pictures_in
from lib_instantstyle.units.field import Field, Files
from lib_instantstyle.units.values import Boolean, Integer, Number, OneOf, Share

ALL = "all"
_FILE_COST = 0.5  # a file is read: more than 0, the cost of most axes, less than a checkpoint's
_DIGITS = 8  # that numbers are rounded to: the plot adds up the steps of a range in floats


def _unchanged(p: Any, values: Sequence[Any]) -> Sequence[Any]:
    return values


@dataclass(frozen=True)
class Axis:
    """One axis, which any unit may have.

    changes: from a value of the axis to the fields of a unit that it sets, as in a request.
    choices: the values that the plot offers. expand: from `p` and the typed values to the values
    of the cells; called once before the plot starts, may raise InstantStyleError. cost: the plot
    varies the axes of highest cost least often.
    """

    label: str
    type: type  # float, for which the plot knows ranges, or str
    changes: Callable[[Any], Mapping[str, object]]
    choices: Callable[[], list[str]] | None = None
    expand: Callable[[Any, Sequence[Any]], Sequence[Any]] = _unchanged
    cost: float = 0.0


def field_axis(field: Field) -> Axis:
    """The values of one field of a unit."""
    name = field.name
    is_switch = isinstance(field.parse, Boolean)

    def changes(x: Any) -> Mapping[str, object]:
        value = {"True": True, "False": False}.get(x, x) if is_switch else x
        value = round(value, _DIGITS) if isinstance(value, float) else value
        # Own block weights would stand instead of the preset, a reference beside the style.
        if name == "preset":
            return {name: value, "blocks": ""}
        return {name: value, "image": None} if name == "style" else {name: value}

    return Axis(
        name.replace("_", " "),
        float if isinstance(field.parse, (Number, Share)) else str,
        changes,
        _choices(field),
        cost=_FILE_COST if field.shown_as == Files("adapters") else 0.0,
    )


def _choices(field: Field) -> Callable[[], list[str]] | None:
    parse = field.parse
    if isinstance(field.shown_as, Files):
        listed = FILE_LISTS[field.shown_as.kind]
        return lambda: [name for name in listed() if name]
    if isinstance(parse, Boolean):
        return lambda: ["True", "False"]
    if isinstance(parse, OneOf):
        return lambda: list(parse.words)
    return None


def any_field_axis() -> Axis:
    """Whichever fields the values name: "gamma=0.3", or several as in "tau=2; gamma=0.3"."""

    def expand(p: Any, values: Sequence[Any]) -> Sequence[Any]:
        for value in values:
            _fields_in(value)
        return values

    return Axis("any field", str, _fields_in, None, expand)


def _fields_in(text: str) -> Mapping[str, object]:
    """The fields that `text` names, with their values as a request has them.

    One may imply another, as a preset that there are no block weights, unless that is named too.
    Raises InstantStyleError if it names none.
    """
    named: dict[str, object] = {}
    implied: dict[str, object] = {}
    names = "|".join(TABLE.page_fields)
    # A block weight has these marks too: "blocks=6=1; 3=0.5; weight=2".
    for part in re.split(rf";\s*(?=(?:{names})\s*=)", text):
        name, equals, value = (each.strip() for each in part.partition("="))
        rest = value.partition(";")[2].strip() if name != "blocks" else ""
        if name not in TABLE.page_fields or not equals or rest:
            raise InstantStyleError(
                f"{shorten(rest or part)} names no field; a field and its value, such as "
                "gamma=0.3, are allowed, and several separated by semicolons."
            )
        field = TABLE.fields[name]
        implied |= field_axis(field).changes(_typed(field, value))
        named[name] = implied[name]
    return {**implied, **named}


def _typed(field: Field, value: str) -> object:
    """`value` as a number or switch where the field takes one; the parser judges other text."""
    if isinstance(field.parse, Boolean):
        return value.capitalize()
    if isinstance(field.parse, (Number, Share, Integer)):
        try:
            number = float(value)
        except ValueError:
            return value
        return int(number) if isinstance(field.parse, Integer) and number.is_integer() else number
    return value


def block_axis() -> Axis:
    """One block alone in each cell: what it does, and which carries the style."""

    def changes(x: Any) -> Mapping[str, object]:
        return {"blocks": f"{x}=1"}

    def expand(p: Any, values: Sequence[Any]) -> Sequence[Any]:
        # The plot's own button that fills in every choice brings ALL and each of the names.
        names = (name for x in values for name in (_block_names() if x == ALL else [x]))
        return [*dict.fromkeys(names)]

    return Axis("each single block", str, changes, lambda: [ALL, *_block_names()], expand)


def _block_names() -> list[str]:
    from lib_instantstyle.hosts.checkpoint import chosen_layers

    layers = chosen_layers()
    present = {found.layer.block for found in layers.by_number.values()}
    return [block.diffusers for block in layers.layout.blocks if block in present]


def reference_axis() -> Axis:
    """The reference: paths of picture files, or of folders with pictures."""

    def changes(x: Any) -> Mapping[str, object]:
        return {"image": picture_in_file(x), "style": ""}

    def expand(p: Any, values: Sequence[Any]) -> Sequence[Any]:
        return [path for x in values for path in pictures_in(p, x)]

    return Axis("reference files", str, changes, None, expand)
