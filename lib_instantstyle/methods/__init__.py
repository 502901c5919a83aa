"""The ways to get a style into a picture, each a folder of its own.

A method declares its fields in `<folder>/fields.py`, without torch, and is loaded from
`<folder>/method.py` when it is used. No other module imports a method's folder, and no method
imports another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from lib_instantstyle.units.field import SELF_ATTENTION, Declared
from lib_instantstyle.units.unit import Table, Unit

if TYPE_CHECKING:
    from lib_instantstyle.methods.base import Method

_FOLDERS = (  # the first is the method of a unit that names none
    "ip_adapter",
    "styleid",
    "stylealigned",
    "swap",
    "b_lora",
)


def _declared(folder: str) -> Declared:
    found: Declared = import_module(f"{__name__}.{folder}.fields").DECLARED
    return found


_BY_FOLDER = {folder: _declared(folder) for folder in _FOLDERS}
_FOLDER_OF = {declared.name: folder for folder, declared in _BY_FOLDER.items()}
TABLE = Table(tuple(_BY_FOLDER.values()))


def load(name: str) -> Method:
    """The method `name`, as a checked unit has it; its module is imported now."""
    found: Method = import_module(f"{__name__}.{_FOLDER_OF[name]}.method").METHOD
    return found


def conflicts(units: Sequence[Unit]) -> Iterator[tuple[Unit, str]]:
    """Pairs (unit, sentence) where a later unit works on what only one unit may work on."""
    first: dict[str, Unit] = {}
    for unit in units:
        kind = unit.declared.excludes
        if kind and first.setdefault(kind, unit) is not unit:
            yield (
                first[kind],
                f"unit {unit.number} works on {kind} too (its method is '{unit.method}'); one such "
                "unit is allowed.",
            )
    other, locking = first.get(SELF_ATTENTION), [unit for unit in units if unit.layout_lock]
    for unit in locking:
        if other is not None and other is not unit:
            yield (
                unit,
                f"layout_lock is {unit.layout_lock:g}, which works on self-attention, and so does "
                f"unit {other.number} (its method is '{other.method}'); set layout_lock to 0, or "
                "switch that unit off.",
            )
        if unit.layout_from != locking[0].layout_from:
            yield (
                unit,
                f"layout_from is '{unit.layout_from}', and '{locking[0].layout_from}' in "
                f"{locking[0].title}; one for all is allowed.",
            )
