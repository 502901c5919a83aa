"""The status line under each unit: what the unit will do, or what is missing."""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.methods import TABLE, load
from lib_instantstyle.page.controls import is_needed
from lib_instantstyle.page.markup import error_sentence
from lib_instantstyle.session import SESSION
from lib_instantstyle.units.page_weights import OPTIONAL

_OFF = "This unit is off."
# Parts of the page that are shown and hidden together with a field's control.
_SHOWN_WITH = {
    "adapter": ("adapter_refresh", "crops_button", "crops"),
    "content": ("words_button", "words"),
    "negative_image": ("negative_image_drop",),
    "reference_mask": ("reference_mask_drop",),
    "mask": ("mask_drop",),
}


class _Serial:
    """Serial numbers of the statuses sent, by which the page's script sees a new one arrive."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def next(self) -> int:
        """The next number."""
        return next(self._numbers)


def lines(values: Sequence[object]) -> list[str]:
    """The status of every unit as HTML.

    values: the page's values of all units, without pictures (see Table.page_values).
    """
    count = len(values) // len(TABLE.page_fields)
    units = TABLE.page_values([*values, *[""] * (count * len(TABLE.pictures))])
    serial = SESSION.of(_Serial).next()
    context = _context()
    return [
        f'<div data-answer="{serial}">{_line(unit, number, context)}</div>'
        for number, unit in enumerate(units, start=1)
    ]


def _context() -> Any:
    """The Context of the chosen checkpoint, for all units; the error if there is none."""
    # These open model files, which must not happen before the accordion is opened.
    from lib_instantstyle.hosts.checkpoint import chosen_layers
    from lib_instantstyle.hosts.context import Context

    try:
        return Context(None, layers=chosen_layers())
    except (InstantStyleError, OSError) as error:
        return error


def _line(values: Mapping[str, object], number: int, context: Any) -> str:
    try:
        unit = TABLE.parse_unit({**values, "enabled": True}, number)
        if isinstance(context, Exception):
            raise context
        found = load(unit.method).describe(unit, context)
        idle = " ".join(sentence[0].upper() + sentence[1:] for sentence in unit.why_idle)
    except InstantStyleError as error:
        return _html(error_sentence(error, number), values, is_problem=True)
    except OSError as error:  # whatever has become of a file in the meantime
        return _html(f"A file cannot be read ({reason(error)}).", values, is_problem=True)
    text = idle or found.text
    text = text if values["enabled"] else f"{_OFF} {text}"
    return _html(text, values, found.is_problem or bool(idle), found.block_map)


def _html(text: str, values: Mapping[str, object], is_problem: bool, block_map: Any = None) -> str:
    """The line as HTML. Its attributes are data for the page's script: which fields the method
    needs, and what the block map draws."""
    kind = "instantstyle-problem" if is_problem else "instantstyle-fine"
    method = str(values["method"])
    needed = TABLE.matters(method) if method in TABLE.methods else ()
    fields = {
        part: name in needed and is_needed(TABLE.fields[name], values)
        for name in sorted(TABLE.of_some_methods - {*OPTIONAL})
        for part in (name, *_SHOWN_WITH.get(name, ()))
    }
    shown, drawn = (
        html.escape(json.dumps(data, separators=(",", ":"))) for data in (fields, block_map)
    )
    return (
        f'<div class="instantstyle-status {kind}" role="status" data-fields="{shown}" '
        f'data-map="{drawn}">{html.escape(text)}</div>'
    )
