"""Axes of the X/Y/Z plot: every field that varies a picture, and a few combinations of fields.

A cell of a plot is made from a shallow copy of `p`, which shares dictionaries with all others. So
a value is put into the arguments of the copy, as a request would have brought it: what forwards
arguments elsewhere, such as a distributed runner, takes it along.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

from lib_instantstyle import NAME
from lib_instantstyle.hosts import model_folders
from lib_instantstyle.hosts.plots import (
    axes_in_use,
    give_script_argument,
    plot_module,
    script_arguments,
)
from lib_instantstyle.pure.catalog import scan
from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.pure.units import (
    AUTO,
    FIELDS,
    PICTURES,
    Unit,
    given_units,
    parse_arguments,
    parse_unit,
)
from lib_instantstyle.webui.errors import InstantStyle
from lib_instantstyle.webui.plot_axes import Axis, block_axis, field_axis, reference_axis

UNITS = 3  # units with axes
_FURTHER = ("preset", "blocks", "weight", "start", "end", "content", "content_scale", "adapter")
_NO_PICTURE = ("report", "leak_meter", "style")  # fields that do not vary one
_CHECKPOINTS = "Checkpoint name"  # an axis of the WebUI's own
_NUMBER = r"\s*[+-]?\s*\d+(?:\.\d*)?\s*"
_RANGE = re.compile(rf"{_NUMBER}(?:-{_NUMBER}(?:\({_NUMBER}\)\s*|\[\s*\d+\s*\]\s*)?)?")


def register() -> None:
    """Put our axes into the list of the X/Y/Z plot, in place of those of an earlier page."""
    module = plot_module()
    if module is None:
        return
    options = module.axis_options
    options[:] = [option for option in options if not option.label.startswith(f"[{NAME}")]
    for number in range(1, UNITS + 1):
        options.extend(_option(module.AxisOption, axis, number) for axis in _axes(number))


def _axes(number: int) -> list[Axis]:
    fields = [name for name in FIELDS if name not in (*PICTURES, *_NO_PICTURE)]
    if number > 1:
        fields = [name for name in fields if name in _FURTHER]
    return [*(field_axis(name) for name in fields), block_axis(), reference_axis()]


def _option(kind: Callable[..., Any], axis: Axis, number: int) -> Any:
    label = f"[{NAME}] {axis.label}" if number == 1 else f"[{NAME} {number}] {axis.label}"

    def apply(p: Any, x: Any, xs: Sequence[Any]) -> None:
        units = [dict(unit) for unit in given_units(script_arguments(p, NAME))]
        units[number - 1].update(axis.changes(x))
        give_script_argument(p, NAME, {"units": units})

    def confirm(p: Any, xs: list[Any]) -> None:
        try:
            given = _given_unit(p, number)
            xs[:] = axis.expand(p, xs)
            for x in xs:
                _check_fit(p, parse_unit({**given, **axis.changes(x)}, number))
        except InstantStyleError as error:
            raise InstantStyle(f"{label}: {error}") from error

    def prepare(text: str) -> list[str]:
        values = _split(text)
        for value in values:
            if axis.type is float and not _RANGE.fullmatch(value):
                raise InstantStyle(
                    f"{label}: {shorten(value)} is no number; numbers and ranges such as "
                    "0-1 (+0.25) or 0-1 [5] are allowed."
                )
        return values

    return kind(
        label,
        axis.type,
        apply,
        format_value=lambda p, option, x: f"{label}: {_shown(x)}",
        confirm=confirm,
        cost=axis.cost,
        choices=axis.choices,
        prepare=prepare,
    )


def _given_unit(p: Any, number: int) -> Mapping[str, object]:
    arguments = script_arguments(p, NAME)
    if not any(unit.number == number for unit in parse_arguments(arguments)):
        raise InstantStyleError(f"unit {number} is not on; switch it on, or choose another axis.")
    return given_units(arguments)[number - 1]


def _check_fit(p: Any, unit: Unit) -> None:
    """Raise InstantStyleError for what the cells of the chosen checkpoint could not do.

    The plot would print it and leave them black. Other checkpoints of the plot are not looked at.
    """
    from lib_instantstyle.hosts.loaded import chosen_layers
    from lib_instantstyle.tensor.plan import layer_gains
    from lib_instantstyle.tensor.selection import choose

    catalog = scan(model_folders())
    if _CHECKPOINTS in axes_in_use(p):
        if unit.adapter != AUTO:
            catalog.adapter(unit.adapter)
        return
    layers = chosen_layers()
    if gains := layer_gains(unit, layers):
        choose(unit.adapter, catalog, layers, gains)


def _shown(x: Any) -> Any:
    if isinstance(x, float):
        return round(x, 8)
    return x.replace("\\", "/").rsplit("/", 1)[-1]  # of a path the file


def _split(text: str) -> list[str]:
    rows = csv.reader(StringIO(text), skipinitialspace=True)
    return [stripped for row in rows for value in row if (stripped := value.strip())]
