"""What the value of a field may be: one small parser for each type.

A parser takes a value as JSON brings it, returns it in its final type, and raises InstantStyleError
with what is allowed; units/unit.py puts the field's name before it. It also carries what it allows,
so that sliders, lists, request schemas and the documentation follow it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, is_encodable
from lib_instantstyle.files.json_text import UnreadableJson, read_json

REFERENCE_WEIGHT = 10.0  # of one of them, to either side of 0
_PICTURE = 'a picture as base64 text, data URL or {"image": ...} is allowed'


class Parser(Protocol):
    """What checks the values of one field."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """Its JSON values, as OpenAPI describes them."""

    @property
    def allowed(self) -> str:
        """The same in a few words, for a table."""

    def __call__(self, value: object) -> Any:
        """`value` in its final type. Raises InstantStyleError with what is allowed."""


@dataclass(frozen=True)
class Boolean:
    """true or false, nothing else."""

    schema = {"type": "boolean"}
    allowed = "true, false"

    def __call__(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        raise InstantStyleError("true or false is allowed")


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, as int, float or text; optional: an empty text is none."""

    low: float
    high: float
    optional: bool = False

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    @property
    def allowed(self) -> str:
        return f"{self.low:g} to {self.high:g}{', null' if self.optional else ''}"

    def __call__(self, value: object) -> float | None:
        if self.optional and value == "":
            return None
        is_long = isinstance(value, str) and len(value) > limits.TEXT_CHARACTERS
        if isinstance(value, (int, float, str)) and not isinstance(value, bool) and not is_long:
            try:
                parsed = float(value)
            except (ValueError, OverflowError):
                parsed = math.nan
            if self.low <= parsed <= self.high:
                return parsed
        raise InstantStyleError(f"a number from {self.low:g} to {self.high:g} is allowed")


@dataclass(frozen=True)
class Integer:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    @property
    def allowed(self) -> str:
        return f"{self.low} to {self.high}"

    def __call__(self, value: object) -> int:
        with suppress(InstantStyleError):
            parsed = Number(self.low, self.high)(value)
            if parsed is not None and parsed.is_integer():
                return int(parsed)
        raise InstantStyleError(f"a whole number from {self.low} to {self.high} is allowed")


@dataclass(frozen=True)
class Share:
    """A number from 0 to 1, or true or false for its ends."""

    low = 0.0
    high = 1.0
    schema = {"type": "number", "minimum": 0, "maximum": 1}
    allowed = "0 to 1, true, false"

    def __call__(self, value: object) -> float | None:
        if isinstance(value, bool):
            return float(value)
        try:
            return Number(self.low, self.high)(value)
        except InstantStyleError:
            raise InstantStyleError("true, false or a number from 0 to 1 is allowed") from None


@dataclass(frozen=True)
class Name:
    """The name of `what`; an empty one is `default`."""

    what: str
    default: str = ""
    schema = {"type": "string"}
    allowed = "name of a file"

    def __call__(self, value: object) -> str:
        if isinstance(value, str) and len(value) <= limits.TEXT_CHARACTERS and is_encodable(value):
            return value.strip() or self.default
        also = f", or '{self.default}'," if self.default else ""
        raise InstantStyleError(f"the name of {self.what}{also} is allowed")


@dataclass(frozen=True)
class Text:
    """Words."""

    schema = {"type": "string"}
    allowed = "text"

    def __call__(self, value: object) -> str:
        if isinstance(value, str) and len(value) <= limits.TEXT_CHARACTERS and is_encodable(value):
            return value.strip()
        raise InstantStyleError(f"a text of up to {limits.TEXT_CHARACTERS} characters is allowed")


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "string", "enum": list(self.words)}

    @property
    def allowed(self) -> str:
        return ", ".join(self.words)

    def __call__(self, value: object) -> str:
        if isinstance(value, str) and value in self.words:
            return value
        raise InstantStyleError(f"one of {', '.join(map(repr, self.words))} is allowed")


@dataclass(frozen=True)
class Reference:
    """One reference picture of a unit."""

    image: str  # base64 text, data URL or address
    weight: float = 1.0


GONE = "gone:"  # and the start of its hash: a picture that infotext names and that is not here

_IMAGE = 'base64 text, data URL, {"image": ..., "weight": 1}, or a list of these'


@dataclass(frozen=True)
class References:
    """Reference pictures: one, or a list (also as JSON text); bare, or with a weight of their own.

    Empty ones are left out, as pages and clients send them for "none".
    """

    schema = {"description": _IMAGE}
    allowed = f'picture, `{{"image": ..., "weight": 1}}`, list of up to {limits.REFERENCES}'

    def __call__(self, value: object) -> tuple[Reference, ...]:
        if isinstance(value, str) and value.startswith("["):
            try:
                value = read_json(value)
            except UnreadableJson:
                raise InstantStyleError(f"{_PICTURE}, or a list of these") from None
        items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        if len(items) > limits.REFERENCE_ENTRIES:
            raise InstantStyleError(
                f"it has {len(items)} entries; up to {limits.REFERENCES} are allowed"
            )
        found = tuple(reference for item in items if (reference := _reference(item)))
        if len(found) > limits.REFERENCES:
            raise InstantStyleError(
                f"it has {len(found)} pictures; up to {limits.REFERENCES} are allowed"
            )
        return found


@dataclass(frozen=True)
class OnePicture:
    """One picture, or none."""

    schema = {"type": "string", "description": "base64 text or data URL"}
    allowed = "picture, null"

    def __call__(self, value: object) -> str | None:
        reference = _reference(value)
        if reference is not None and reference.weight != 1.0:
            raise InstantStyleError(_PICTURE)
        return reference.image if reference else None


_reference_weight = Number(-REFERENCE_WEIGHT, REFERENCE_WEIGHT)


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
