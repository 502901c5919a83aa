"""What of a pasted infotext could not be taken over, in one sentence; and what a tab gets back.

Where strangers may use the page, pasting empties the boxes for pictures. An event of the page then
asks for them with the number of its tab; see page/sent_pictures.py.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from lib_instantstyle import limits
from lib_instantstyle.errors import printable
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.hosts.settings import PAGE_UNITS_TITLE
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.markup import problem_box
from lib_instantstyle.page.paste import find_kept, style_instead
from lib_instantstyle.units.infotext import INFOTEXT_KEY, REFERENCE, Written, read

_UNIT = re.compile(re.escape(INFOTEXT_KEY).replace(r"\{\}", r"(\d+)"))
BACK = (*TABLE.pictures, "style")  # the fields of a unit that `give_back` returns
_LISTED_MOST = 6  # parts of a line, or units, that the sentence names; the others are counted


def unit_lines(parameters: Mapping[str, object]) -> dict[str, str]:
    """The lines of units among parsed infotext parameters, by key."""
    units = (key for key in parameters if _UNIT.fullmatch(key))
    return {key: line for key in units if isinstance(line := parameters[key], str)}


def as_request(parameters: Mapping[str, object]) -> str:
    """The lines as text that a hidden box holds until the page asks; no two are equal."""
    lines = unit_lines(parameters)
    return json.dumps({"at": time.time_ns(), **lines}) if lines else ""


def notice(parameters: Mapping[str, object], count: int, sender: str = "") -> str:
    """What a page of `count` units cannot take over from `parameters`, as HTML; "" if it takes all.

    sender: the number of the tab, as far as it is known.
    """
    lost = [*_lost_units(parameters, count)]
    for number in range(1, count + 1):
        written = read(parameters, TABLE, number)
        if written is not None:
            line = str(parameters[INFOTEXT_KEY.format(number)])
            lost += _lost_of_line(line, written, number)
            lost += _lost_pictures(written, number, sender)
    return problem_box(f"Not all of it was taken over: {'; '.join(lost)}.") if lost else ""


def give_back(pasted: str, sender: str, count: int) -> list[Any]:
    """What the tab `sender` gets after pasting: of each unit pictures and style, then the notice.

    pasted: of `as_request`.
    """
    try:
        given = read_json(pasted) if pasted else {}
    except UnreadableJson:
        given = {}
    parameters = unit_lines(given) if isinstance(given, dict) else {}
    values: list[Any] = []
    for number in range(1, count + 1):
        written = read(parameters, TABLE, number)
        values += _values(written, sender) if written else [gr.update()] * len(BACK)
    return [*values, notice(parameters, count, sender)]


def _values(written: Written, sender: str) -> list[Any]:
    style = written.unit.style or style_instead(written, sender)
    values: dict[str, Any] = {
        name: find_kept(written.hashes.get(name, ""), sender).text for name in TABLE.pictures
    }
    values["style"] = style
    if style_instead(written, sender):
        values["image"] = ""  # beside a style no picture may stand
    # One that cannot be had leaves the box as it is: empty, or with what was dropped meanwhile.
    return [values[name] or gr.update() for name in BACK]


def _lost_units(parameters: Mapping[str, object], count: int) -> Iterator[str]:
    numbers = [_UNIT.fullmatch(key) for key in parameters]
    names = [found[1] for found in numbers if found]
    beyond = [name for name in names if len(name) > 4 or not 1 <= int(name) <= count]
    if not beyond:
        return
    one = len(beyond) == 1
    listed = _listed([_short(name) for name in beyond])
    left_out = f"unit {listed} was" if one else f"units {listed} were"
    yield (
        f"the page has {count} unit{'' if count == 1 else 's'}, so {left_out} left out "
        f"(Settings > InstantStyle > {PAGE_UNITS_TITLE})"
    )


def _lost_of_line(line: str, written: Written, number: int) -> Iterator[str]:
    if len(line) > limits.INFOTEXT_CHARACTERS:
        yield (
            f"nothing of unit {number} was read, because its line has {len(line):,} characters and "
            f"up to {limits.INFOTEXT_CHARACTERS:,} are allowed"
        )
    if written.refused:
        yield f"unit {number} cannot have {_listed(written.refused)}"


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _LISTED_MOST
    return ", ".join(parts[:_LISTED_MOST]) + (f" and {more} more" if more > 0 else "")


def _lost_pictures(written: Written, number: int, sender: str) -> Iterator[str]:
    instead = style_instead(written, sender)
    for name in TABLE.pictures:
        kept = find_kept(written.hashes.get(name, ""), sender)
        if kept.why and not (instead and name == "image"):
            title = REFERENCE if name == "image" else name
            yield (
                f"{title} {_short(kept.missing)} of unit {number} is {kept.why}: drop the picture "
                "again"
            )


def _short(text: str) -> str:
    return printable(text if len(text) <= 16 else f"{text[:15]}…")
