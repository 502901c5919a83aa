"""A unit as one line of infotext, and back.

The line reads `adapter: ip-adapter_sdxl, preset: style+layout, weight: 0.8, reference: 1a2b3c`.
Defaults are left out; pictures are represented by the start of their SHA-256, with `*` and its
weight behind a reference that has one of its own. A value that holds
a comma, a quote or a line break is written as a JSON string. Unknown keys are kept when read, so
that a line of a later version still restores what this one knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.units.unit import Table, Unit
from lib_instantstyle.units.values import Boolean

INFOTEXT_KEY = "InstantStyle {}"  # one key per unit, counted from 1
NOTE_KEY = "InstantStyle {} note"  # what the user is told about the unit
CONTENT_KEY = "InstantStyle {} content"  # the words of auto_content; the line holds their number
PALETTE_KEY = "InstantStyle {} palette"  # the steps in which the colours were moved
OWN_KEY = re.compile(r"InstantStyle \d+(?: [a-z]+)*")  # a unit, what was measured of it, or a note
REFERENCE = "reference"  # the key of `image`, whose value here is no picture
_SWITCH: Mapping[str, object] = {"true": True, "false": False}
# One key with its value. It is matched where a pair begins and nowhere else, and no two of its
# parts can take the same character, so that the time it takes grows with the line and no faster.
_PAIR = re.compile(r'([^:,"]*):\s*("(?:\\.|[^"\\])*"(?=\s*(?:,|$))|[^,]*)\s*(?:,|$)')


@dataclass(frozen=True)
class Written:
    """What one infotext line says."""

    unit: Unit  # without its pictures
    hashes: Mapping[str, str]  # of its pictures, by field
    refused: tuple[str, ...] = ()  # what no unit of ours can have, such as "preset 'glow'"

    @property
    def reference(self) -> str:
        """Start of the hash of the reference, of several with a space between; or ""."""
        return self.hashes.get("image", "")


def unit_to_text(unit: Unit, hashes: Mapping[str, str]) -> str:
    """One line for `unit`; hashes: by field, the starts of the hashes of its pictures."""
    pairs = {name: getattr(unit, name) for name in _written(unit.table) if _is_written(unit, name)}
    pairs.update({_key(name): hashes[name] for name in unit.table.pictures if hashes.get(name)})
    return ", ".join(f"{name}: {_quote(_plain(value))}" for name, value in pairs.items())


def text_to_unit(text: str, table: Table) -> Written:
    """Read a line of `unit_to_text`; a value no longer allowed falls back to its default.

    Of a line that is longer than any unit's, nothing is read.
    """
    pairs = dict(_pairs(text)) if len(text) <= limits.INFOTEXT_CHARACTERS else {}
    given: dict[str, object] = {}
    refused: list[str] = []
    known = {*_written(table), *map(_key, table.pictures)}
    for name, written in pairs.items():
        if name not in known:
            refused.append(shorten(name, 30) if name else shorten(written, 30))
        elif name in _written(table):
            is_switch = isinstance(table.fields[name].parse, Boolean)
            value = _SWITCH.get(written, written) if is_switch else written
            try:
                table.parse_unit({name: value})
            except InstantStyleError:
                refused.append(f"{name} {shorten(written, 30)}")
                continue
            given[name] = value
    matters = table.matters(str(given.get("method", table.usual_method)))
    given = {n: value for n, value in table.unwritten.items() if n in matters} | given
    hashes = {name: pairs[_key(name)] for name in table.pictures if pairs.get(_key(name))}
    return Written(table.parse_unit(given), hashes, tuple(refused))


def read(params: Mapping[str, object], table: Table, number: int = 1) -> Written | None:
    """The line of unit `number` among parsed infotext parameters, or None.

    Each of the page's fields asks for it, so that the last lines are kept.
    """
    text = params.get(INFOTEXT_KEY.format(number))
    return _read(text, table) if isinstance(text, str) else None


_read = lru_cache(maxsize=limits.UNITS)(text_to_unit)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Keys and values; what is no pair, up to the next comma, is a value without a key."""
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None:
            begin, position = position, text.find(",", position) + 1 or len(text)
            if piece := text[begin:position].strip(", "):
                yield "", piece
            continue
        position = match.end()
        yield match[1].strip(), _unquote(match[2].strip())


def _written(table: Table) -> Iterable[str]:
    """The fields that a line may hold as they are."""
    return [name for name in table.page_fields if name != "enabled"]


def _is_written(unit: Unit, name: str) -> bool:
    """Whether the line of `unit` says what this field is."""
    if name not in unit.table.unwritten:
        return unit.differs(name)
    used = name in unit.table.matters(unit.method)
    return bool(used and getattr(unit, name) != unit.table.unwritten[name])


def _key(name: str) -> str:
    return REFERENCE if name == "image" else name


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return next(word for word, state in _SWITCH.items() if state is value)
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def _quote(text: str) -> str:
    return json.dumps(text) if re.search(r'[,"\n\r\\]', text) or text != text.strip() else text


def _unquote(text: str) -> str:
    if text.startswith('"'):
        try:
            return str(read_json(text))
        except UnreadableJson:
            pass
    return text
