"""The status line under each unit as HTML: its state, sentences, and a button that mends it."""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.controls import is_needed
from lib_instantstyle.page.markup import repair_button
from lib_instantstyle.page.states.facts import Facts, read_facts
from lib_instantstyle.session import SESSION
from lib_instantstyle.units.page_weights import OPTIONAL

# Parts of the page that are shown and hidden together with a field's control.
_SHOWN_WITH = {
    "adapter": ("adapter_refresh", "crops_button", "crops"),
    "content": ("words_button", "words"),
    "negative_image": ("negative_image_drop",),
    "reference_mask": ("reference_mask_drop",),
    "mask": ("mask_drop",),
}
_PROBLEMS = ("file", "conflict")  # the states in which no picture would be made


class _Serial:
    """Serial numbers of the statuses sent, by which the page's script sees a new one arrive."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def next(self) -> int:
        """The next number."""
        return next(self._numbers)


def lines(facts_text: str, *values: object) -> list[str]:
    """The status of every unit as HTML.

    facts_text: see read_facts. values: the page's values of all units, without pictures (see
    Table.page_values).
    """
    # These open model files, which must not happen before the accordion is opened.
    from lib_instantstyle.page.states.unit_states import Page

    facts = read_facts(facts_text)
    units = page_units_of(values)
    serial = SESSION.of(_Serial).next()
    states = Page(units, facts, chosen_context(facts)).states()
    return [
        f'<div data-answer="{serial}">{_html(state, values)}</div>'
        for state, values in zip(states, units)
    ]


def page_units_of(values: Sequence[object]) -> list[dict[str, object]]:
    """The fields of each unit in the page's values of all units, without pictures."""
    count = len(values) // len(TABLE.page_fields)
    return TABLE.page_values([*values, *[""] * (count * len(TABLE.pictures))])


def chosen_context(facts: Facts) -> Any:
    """The Context of the chosen checkpoint, for all units; the error if there is none."""
    from lib_instantstyle.hosts.checkpoint import chosen_layers
    from lib_instantstyle.hosts.context import Context
    from lib_instantstyle.page.states.unit_states import context_for

    try:
        return context_for(facts, Context(None, layers=chosen_layers()))
    except (InstantStyleError, OSError) as error:
        return error


def _html(state: Any, values: Mapping[str, object]) -> str:
    """The line as HTML. Its attributes are data for the page's script: which fields the method
    needs, and what the block map draws."""
    problem = " instantstyle-problem" if state.kind in _PROBLEMS else ""
    method = str(values["method"])
    needed = TABLE.matters(method) if method in TABLE.methods else ()
    fields = {
        part: name in needed and is_needed(TABLE.fields[name], values)
        for name in sorted(TABLE.of_some_methods - {*OPTIONAL})
        for part in (name, *_SHOWN_WITH.get(name, ()))
    }
    if method in TABLE.methods:
        declared = TABLE.methods[method]
        fields |= {"weight": declared.uses_weight, "styles": declared.takes_styles}
    given = [values["preset"], values["blocks"]]  # what the map was drawn for
    shown, drawn, drawn_for = (
        html.escape(json.dumps(data, separators=(",", ":")))
        for data in (fields, state.block_map, given)
    )
    repair = state.repair
    button = repair_button(repair.title, repair.request) if repair else ""
    return (
        f'<div class="instantstyle-status instantstyle-is-{state.kind}{problem}" role="status" '
        f'data-state="{state.kind}" data-fields="{shown}" data-for="{drawn_for}" '
        f'data-map="{drawn}">'
        f"<span>{html.escape(state.text)}</span>{button}</div>"
    )
