"""Our axes in the WebUI's X/Y/Z plot.

The plot makes each cell from a shallow copy of `p`, which shares dictionaries with the others. So
an axis writes its value into the script arguments of that copy, as a request would have it; an
extension that forwards script arguments elsewhere (a distributed runner) then forwards it too.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

from lib_instantstyle import NAME
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.folder import shown_name
from lib_instantstyle.hosts import model_folders
from lib_instantstyle.hosts.refusal import InstantStyle
from lib_instantstyle.hosts.xyz_grid import (
    axes_in_use,
    give_script_argument,
    plot_module,
    script_arguments,
)
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.xyz_axes import (
    Axis,
    any_field_axis,
    block_axis,
    field_axis,
    reference_axis,
)
from lib_instantstyle.units.choices import AUTO
from lib_instantstyle.units.field import EVERY_UNIT

_CHECKPOINTS = "Checkpoint name"  # an axis of the WebUI's own
_NUMBER = r"\s*(?:[+-]\s*)?\d+(?:\.\d*)?\s*"
_RANGE = re.compile(rf"{_NUMBER}(?:-{_NUMBER}(?:\({_NUMBER}\)\s*|\[\s*\d+\s*\]\s*)?)?")


def register_axes() -> None:
    """Add our axes to those of the X/Y/Z plot, replacing the ones of an earlier call."""
    module = plot_module()
    if module is None:
        return
    options = module.axis_options
    options[:] = [option for option in options if not option.label.startswith(f"[{NAME}")]
    for number in range(1, EVERY_UNIT + 1):
        options.extend(_option(module.AxisOption, axis, number) for axis in _axes(number))


def _axes(number: int) -> list[Axis]:
    fields = [TABLE.fields[name] for name in TABLE.page_fields]
    return [
        *(field_axis(field) for field in fields if field.axes >= number),
        block_axis(),
        reference_axis(),
        any_field_axis(),
    ]


def _option(kind: Callable[..., Any], axis: Axis, number: int) -> Any:
    label = f"[{NAME}] {axis.label}" if number == 1 else f"[{NAME} {number}] {axis.label}"

    def apply(p: Any, x: Any, xs: Sequence[Any]) -> None:
        units = _units_of_cell(p, number, axis.changes(x))
        give_script_argument(p, NAME, {"units": units})

    def confirm(p: Any, xs: list[Any]) -> None:
        try:
            _check_is_on(p, number)
            xs[:] = axis.expand(p, xs)
            for x in xs:
                _check_cell(p, number, _units_of_cell(p, number, axis.changes(x)))
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


def _check_is_on(p: Any, number: int) -> None:
    units = TABLE.parse_arguments(script_arguments(p, NAME))
    if all(unit.number != number for unit in units):
        raise InstantStyleError(f"unit {number} is not on; switch it on, or choose another axis.")


def _units_of_cell(
    p: Any, number: int, changes: Mapping[str, object]
) -> list[Mapping[str, object]]:
    units = list(TABLE.given_units(script_arguments(p, NAME)))
    units[number - 1] = {**units[number - 1], **changes}
    return units


def _check_cell(p: Any, number: int, units: Sequence[Mapping[str, object]]) -> None:
    """Raise InstantStyleError if a cell would fail, which the plot would only show as black.

    If another axis varies the checkpoint, only the name of the adapter can be checked.
    """
    from lib_instantstyle.models.catalog import scan
    from lib_instantstyle.run.dry_run import dry_run
    from lib_instantstyle.run.requested import RequestedGeneration

    unit = TABLE.parse_unit(units[number - 1], number)
    if _CHECKPOINTS in axes_in_use(p):
        if unit.adapter != AUTO:
            scan(model_folders()).adapter(unit.adapter)
        return
    for problem in dry_run(units, RequestedGeneration(p.steps)).units[number - 1].problems:
        raise InstantStyleError(problem)


def _shown(x: Any) -> Any:
    if isinstance(x, float):
        return round(x, 8)
    return shown_name(x.replace("\\", "/").rsplit("/", 1)[-1])  # of a path the file


def _split(text: str) -> list[str]:
    rows = csv.reader(StringIO(text), skipinitialspace=True)
    return [stripped for row in rows for value in row if (stripped := value.strip())]
