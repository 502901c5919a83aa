"""What the page says after infotext was pasted, and what a tab gets back.

Where strangers may use the page, pasting puts no picture back. An event of the page then asks for
them with the number of its tab; see page/sent_pictures.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import gradio as gr

from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.markup import problem_box
from lib_instantstyle.page.paste import find_kept, style_instead
from lib_instantstyle.page.paste_losses import UNIT_KEY, losses
from lib_instantstyle.units.infotext import Written, read

BACK = (*TABLE.pictures, "style")  # the fields of a unit that `give_back` returns


def unit_lines(parameters: Mapping[str, object]) -> dict[str, str]:
    """The lines of units among parsed infotext parameters, by key."""
    units = (key for key in parameters if UNIT_KEY.fullmatch(key))
    return {key: line for key in units if isinstance(line := parameters[key], str)}


def as_request(parameters: Mapping[str, object]) -> str:
    """The lines as text that a hidden box holds until the page asks; no two are equal."""
    lines = unit_lines(parameters)
    return json.dumps({"at": time.time_ns(), **lines}) if lines else ""


def notice(parameters: Mapping[str, object], count: int, sender: str = "") -> str:
    """What a page of `count` units cannot take over from `parameters`, as HTML; "" if it takes all.

    sender: the number of the tab, as far as it is known.
    """
    lost = losses(parameters, count, sender)
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
    kept = {name: find_kept(written.hashes.get(name, ""), sender) for name in TABLE.pictures}
    # Where none can be had the box stays as it is: it names them, or was filled in the meantime.
    values = {name: found.text for name, found in kept.items() if found.has_some}
    values["style"] = style
    return [values.get(name) or gr.update() for name in BACK]
