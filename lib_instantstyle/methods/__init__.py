"""The ways to get a style into a picture, each a folder of its own.

A method declares its fields in `<folder>/fields.py`, without torch, and is loaded from
`<folder>/method.py` when it is used. Nobody else imports a method's folder, and no method imports
another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from lib_instantstyle.units.field import Declared
from lib_instantstyle.units.unit import Table, Unit

if TYPE_CHECKING:
    from lib_instantstyle.methods.base import Method

_FOLDERS = (  # the first is the usual one
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
    """The method called `name`, which some unit has; its code is imported now."""
    found: Method = import_module(f"{__name__}.{_FOLDER_OF[name]}.method").METHOD
    return found


def conflicts(units: Sequence[Unit]) -> Iterator[tuple[Unit, str]]:
    """Units of which one at most may act, as (the first of them, sentence about another)."""
    first: dict[str, Unit] = {}
    for unit in units:
        kind = unit.declared.excludes
        if kind and first.setdefault(kind, unit) is not unit:
            yield (
                first[kind],
                f"unit {unit.number} works on {kind} too (its method is '{unit.method}'); one such "
                "unit is allowed.",
            )
