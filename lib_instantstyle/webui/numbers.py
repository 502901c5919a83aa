"""Numbers in the body of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_instantstyle.pure.errors import InstantStyleError, shorten


def whole_in(given: Mapping[str, object], name: str, default: int, most: int) -> int:
    """The whole number `name` from 0 to `most`. Raises InstantStyleError for anything else."""
    value = default if given.get(name) is None else given[name]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise InstantStyleError(
        f"{name} is {shorten(value)}; a whole number from 0 to {most} is allowed."
    )


def number_in(given: Mapping[str, object], name: str, default: float) -> float:
    """The number `name`. Raises InstantStyleError for anything else."""
    value: Any = default if given.get(name) is None else given[name]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1000:
        return float(value)
    raise InstantStyleError(f"{name} is {shorten(value)}; a number is allowed.")
