"""A unit as one line of infotext, and back.

The line reads `adapter: ip-adapter_sdxl, preset: style+layout, weight: 0.8, reference: 1a2b3c`.
Defaults are left out; the picture is represented by the start of its SHA-256. A value that holds
a comma, a quote or a line break is written as a JSON string. Unknown keys are kept when read, so
that a line of a later version still restores what this one knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.units import FIELDS, Unit, parse_unit

KEY = "InstantStyle {}"  # one key per unit, counted from 1
OWN_KEY = re.compile(r"InstantStyle \d+")
REFERENCE = "reference"
_NOT_WRITTEN = ("enabled", "image")
_PAIR = re.compile(r'\s*([a-z_]+):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')


@dataclass(frozen=True)
class Written:
    """What one infotext line says."""

    unit: Unit  # without its picture
    reference: str  # start of the picture's hash, or ""


def unit_to_text(unit: Unit, reference: str) -> str:
    """One line for `unit`; `reference` is the start of its picture's hash."""
    default = Unit()
    pairs = {
        name: getattr(unit, name)
        for name in FIELDS
        if name not in _NOT_WRITTEN and getattr(unit, name) != getattr(default, name)
    }
    pairs[REFERENCE] = reference
    return ", ".join(f"{name}: {_quote(_plain(value))}" for name, value in pairs.items())


def text_to_unit(text: str) -> Written:
    """Read a line of `unit_to_text`; a value no longer allowed falls back to its default."""
    pairs: dict[str, str] = {}
    for match in _PAIR.finditer(text):
        pairs[match.group(1)] = _unquote(match.group(2).strip())
    given = {}
    for name, value in pairs.items():
        if name in FIELDS and name not in _NOT_WRITTEN:
            try:
                parse_unit({name: value})
            except InstantStyleError:
                continue
            given[name] = value
    return Written(parse_unit(given), pairs.get(REFERENCE, ""))


def read(params: Mapping[str, object], number: int = 1) -> Written | None:
    """The line of unit `number` among parsed infotext parameters, or None."""
    text = params.get(KEY.format(number))
    return text_to_unit(text) if isinstance(text, str) else None


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def _quote(text: str) -> str:
    return json.dumps(text) if re.search(r'[,"\n\r\\]', text) or text != text.strip() else text


def _unquote(text: str) -> str:
    if text.startswith('"'):
        try:
            return str(json.loads(text))
        except ValueError:
            pass
    return text
