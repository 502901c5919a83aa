"""Changes of a unit's fields that a button of the page asks for: a repair, advice, or an undo."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.controls import page_value
from lib_instantstyle.page.markup import (
    error_sentence,
    problem_box,
    repair_button,
    value_in_words,
)
from lib_instantstyle.page.states.facts import read_facts
from lib_instantstyle.page.states.lines import chosen_context, page_units_of
from lib_instantstyle.styles.library import library
from lib_instantstyle.units.advice import COMPLAINTS, LAST, NOTHING

_UNDONE = "Undone."
_MEASURE = (
    "This unit is ready, so its effect will be measured. Generate again: the numbers appear under "
    "the picture and in the block map."
)


def change(request_text: str, facts_text: str, *values: object) -> list[Any]:
    """A message as HTML, and an update for each of `values`.

    request_text: JSON {"unit": 1, "do": "set", "values": {...}}, or a complaint for "do". See
    read_facts for facts_text, Table.page_values for values.
    """
    kept = [gr.update() for _ in values]
    try:
        given = read_json(request_text) if request_text else {}
    except UnreadableJson:
        given = {}
    units = page_units_of(values)
    number = given.get("unit") if isinstance(given, Mapping) else None
    if not isinstance(number, int) or not 1 <= number <= len(units):
        return ["", *kept]
    first = (number - 1) * len(TABLE.page_fields)
    # As the page has them, for the undo: `units` lack what says nothing.
    before = dict(zip(TABLE.page_fields, values[first:]))
    after: Mapping[str, Any]
    try:
        if given.get("undo"):
            message, after = _UNDONE, _undone(given.get("values"))
        else:
            message, after = _changes(given, number, units, facts_text)
    except InstantStyleError as error:
        return [problem_box(error_sentence(error, number)), *kept]
    after = {name: value for name, value in after.items() if before[name] != value}
    for name, value in after.items():
        kept[first + TABLE.page_fields.index(name)] = gr.update(value=value)
    undo = {name: before[name] for name in after}
    return [_message(number, message or _in_words(before, after), undo), *kept]


def _undone(values: object) -> dict[str, Any]:
    """What stood in the fields before, whether or not a unit could have it."""
    given = values if isinstance(values, Mapping) else {}
    return {
        name: value
        for name, value in given.items()
        if name in TABLE.page_fields and isinstance(value, (str, int, float))
    }


def _changes(
    given: Mapping[str, object],
    number: int,
    units: Sequence[Mapping[str, object]],
    facts_text: str,
) -> tuple[str, Mapping[str, Any]]:
    """A sentence, or "" where the changes speak for themselves; new values of the page by field."""
    action = str(given.get("do"))
    if action in COMPLAINTS:
        return _advised(action, number, units, facts_text)
    if action == "style":
        return "", _settings_of(str(units[number - 1]["style"]), number)
    asked = given.get("values")
    values = {
        name: value
        for name, value in (asked.items() if isinstance(asked, Mapping) else ())
        if name in TABLE.page_fields
    }
    unit = TABLE.parse_unit(values, number)
    return "", {name: page_value(unit, name) for name in values}


def _settings_of(style: str, number: int) -> dict[str, Any]:
    """All settings that the saved style was made with; what it does not name has its default."""
    from lib_instantstyle.styles.header import setting_names  # the formats of model files

    unit = TABLE.parse_unit(library(TABLE).find(style).info.settings, number)
    return {name: page_value(unit, name) for name in setting_names(TABLE)}


def _advised(
    complaint: str, number: int, units: Sequence[Mapping[str, object]], facts_text: str
) -> tuple[str, Mapping[str, Any]]:
    # These open model files, which must not happen before the accordion is opened.
    from lib_instantstyle.page.states.unit_states import READY, Page

    facts = read_facts(facts_text)
    page = Page(units, facts, chosen_context(facts))
    values = units[number - 1]
    declared = TABLE.parse_unit({"method": values["method"]}, number).declared
    if complaint == NOTHING:
        state = page.states()[number - 1]
        if state.kind != READY:
            return state.text, {}
        if values["report"] or "report" not in TABLE.matters(declared.name):
            return LAST[NOTHING], {}
        return _MEASURE, {"report": True}
    now = set(page.problems(number))
    for step in declared.advice.get(complaint, ()):
        after = step.changes(values)
        # A step that this adapter or checkpoint cannot take is left out.
        if after and set(page.problems(number, after)) <= now:
            return "", after
    return LAST[complaint], {}


def _in_words(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    parts = []
    for name, value in after.items():
        label = TABLE.fields[name].label
        parts.append(f"“{label}” {value_in_words(before.get(name))} → {value_in_words(value)}")
    return f"{'; '.join(parts)}." if parts else ""


def _message(number: int, text: str, undo: Mapping[str, object]) -> str:
    if not text:
        return ""
    button = ""
    if undo and text != _UNDONE:
        asked = {"do": "set", "undo": True, "unit": number, "values": undo}
        button = repair_button("Undo", asked)
    return (
        f'<div class="instantstyle-advised"><span>Unit {number}: {html.escape(text)}</span>'
        f"{button}</div>"
    )
