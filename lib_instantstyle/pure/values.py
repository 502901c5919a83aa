"""What the value of a field may be: one small parser for each type.

Each takes a value as JSON brings it, returns it in its final type, and raises InstantStyleError
with what is allowed; units.py puts the field's name before it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.pure.errors import InstantStyleError

TEXT_LIMIT = 1024  # characters of a name or a text
REFERENCE_LIMIT = 16  # pictures in one unit
REFERENCE_WEIGHT = 10.0  # of one of them, to either side of 0
_PICTURE = 'a picture as base64 text, data URL or {"image": ...} is allowed'


def boolean(value: object) -> bool:
    """true or false, nothing else."""
    if isinstance(value, bool):
        return value
    raise InstantStyleError("true or false is allowed")


def number(low: float, high: float, optional: bool = False) -> Callable[[object], float | None]:
    """A number from `low` to `high`, as int, float or text; optional: an empty text is none."""

    def parse(value: object) -> float | None:
        if optional and value == "":
            return None
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            try:
                parsed = float(value)
            except (ValueError, OverflowError):
                parsed = math.nan
            if low <= parsed <= high:
                return parsed
        raise InstantStyleError(f"a number from {low:g} to {high:g} is allowed")

    return parse


def integer(low: int, high: int) -> Callable[[object], int]:
    """A whole number from `low` to `high`."""
    any_number = number(low, high)

    def parse(value: object) -> int:
        with suppress(InstantStyleError):
            parsed = any_number(value)
            if parsed is not None and parsed.is_integer():
                return int(parsed)
        raise InstantStyleError(f"a whole number from {low} to {high} is allowed")

    return parse


_share = number(0, 1)


def share(value: object) -> float | None:
    """A number from 0 to 1, or true or false for its ends."""
    if isinstance(value, bool):
        return float(value)
    try:
        return _share(value)
    except InstantStyleError:
        raise InstantStyleError("true, false or a number from 0 to 1 is allowed") from None


def name(what: str, default: str) -> Callable[[object], str]:
    """The name of `what`; an empty one is `default`."""

    def parse(value: object) -> str:
        if isinstance(value, str) and len(value) <= TEXT_LIMIT:
            return value.strip() or default
        also = f", or '{default}'," if default else ""
        raise InstantStyleError(f"the name of {what}{also} is allowed")

    return parse


def text(value: object) -> str:
    """Words."""
    if isinstance(value, str) and len(value) <= TEXT_LIMIT:
        return value.strip()
    raise InstantStyleError(f"a text of up to {TEXT_LIMIT} characters is allowed")


class one_of:
    """One of a few words."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def __call__(self, value: object) -> str:
        if isinstance(value, str) and value in self.allowed:
            return value
        raise InstantStyleError(f"one of {', '.join(map(repr, self.allowed))} is allowed")


@dataclass(frozen=True)
class Reference:
    """One reference picture of a unit."""

    image: str  # base64 text, data URL or address
    weight: float = 1.0


def references(value: object) -> tuple[Reference, ...]:
    """Reference pictures: one, or a list (also as JSON text); bare, or with a weight of their own.

    Empty ones are left out, as pages and clients send them for "none".
    """
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise InstantStyleError(f"{_PICTURE}, or a list of these") from None
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    found = tuple(reference for item in items if (reference := _reference(item)))
    if len(found) > REFERENCE_LIMIT:
        raise InstantStyleError(
            f"it has {len(found)} pictures; up to {REFERENCE_LIMIT} are allowed"
        )
    return found


def picture(value: object) -> str | None:
    """One picture, or none."""
    reference = _reference(value)
    if reference is not None and reference.weight != 1.0:
        raise InstantStyleError(_PICTURE)
    return reference.image if reference else None


_reference_weight = number(-REFERENCE_WEIGHT, REFERENCE_WEIGHT)


def _reference(value: object) -> Reference | None:
    weight: Any = 1.0
    if isinstance(value, Mapping):
        if not value.keys() <= {"image", "weight"}:
            raise InstantStyleError(
                'a picture as base64 text, data URL or {"image": ..., "weight": 1} is allowed'
            )
        given = value.get("weight")
        try:
            weight = 1.0 if given is None else _reference_weight(given)
        except InstantStyleError:
            raise InstantStyleError("the weight of a picture is a number from -10 to 10") from None
        value = value.get("image")
    if value is not None and not isinstance(value, str):
        raise InstantStyleError(f"{_PICTURE}, or a list of these")
    return Reference(value, weight) if value else None
