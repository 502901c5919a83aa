"""What a cell of a plot changes in the units of its generation.

A cell gets a copy of `p`, but shares its dictionaries and arguments with all others; so what it
changes hangs on the copy, in an attribute of its own that is never changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lib_instantstyle.pure.units import Unit

_ATTRIBUTE = "_instantstyle_overrides"  # on p: unit number -> field -> value, checked


def override(p: Any, number: int, values: Mapping[str, object]) -> None:
    """Make unit `number` of the generation `p`, and of no other, have `values`."""
    before: Mapping[int, Mapping[str, object]] = getattr(p, _ATTRIBUTE, {})
    setattr(p, _ATTRIBUTE, {**before, number: {**before.get(number, {}), **values}})


def overridden(p: Any, units: Sequence[Unit]) -> list[Unit]:
    """`units` with what `override` said of them."""
    changes: Mapping[int, Mapping[str, Any]] = getattr(p, _ATTRIBUTE, {})
    return [replace(unit, **changes.get(unit.number, {})) for unit in units]
