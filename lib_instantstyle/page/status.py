"""The line under each unit that says in plain words what the unit will do, or what is missing."""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.methods import TABLE, load
from lib_instantstyle.session import SESSION
from lib_instantstyle.units.page_weights import OPTIONAL

_OFF = "This unit is off."
# Parts of the page that go with a field beside its own control.
_ALONG = {
    "adapter": ("adapter_refresh", "crops_button", "crops"),
    "content": ("words_button", "words"),
    "negative_image": ("negative_image_drop",),
    "reference_mask": ("reference_mask_drop",),
    "mask": ("mask_drop",),
}


class _Answers:
    """Numbers for answers: no two look alike, so that the page sees each arrive."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def next(self) -> int:
        """A number that no answer had."""
        return next(self._numbers)


def lines(values: Sequence[object]) -> list[str]:
    """The status of every unit as HTML; values: the page's of all units, without pictures."""
    count = len(values) // len(TABLE.page_fields)
    units = TABLE.page_values([*values, *[""] * (count * len(TABLE.pictures))])
    answer = SESSION.of(_Answers).next()
    return [
        f'<div data-answer="{answer}">{_line(unit, number)}</div>'
        for number, unit in enumerate(units, start=1)
    ]


def _line(values: Mapping[str, object], number: int) -> str:
    # These open model files: not for a closed accordion.
    from lib_instantstyle.hosts.checkpoint import chosen_layers
    from lib_instantstyle.hosts.context import Context

    try:
        unit = TABLE.parse_unit({**values, "enabled": True}, number)
        found = load(unit.method).describe(unit, Context(None, layers=chosen_layers()))
    except InstantStyleError as error:
        return _html(_sentence(str(error), number), values, is_problem=True)
    except OSError as error:  # whatever has become of a file in the meantime
        return _html(f"A file cannot be read ({reason(error)}).", values, is_problem=True)
    text = found.text if values["enabled"] else f"{_OFF} {found.text}"
    return _html(text, values, found.is_problem, found.block_map)


def _sentence(text: str, number: int) -> str:
    text = text.removeprefix(f"unit {number}: ")
    return text[:1].upper() + text[1:]


def _html(text: str, values: Mapping[str, object], is_problem: bool, block_map: Any = None) -> str:
    """The line. The page's script draws the block map from the data it carries, and shows those
    fields that the method needs."""
    kind = "instantstyle-problem" if is_problem else "instantstyle-fine"
    method = str(values["method"])
    needed = TABLE.matters(method) if method in TABLE.methods else ()
    fields = {
        part: name in needed
        for name in sorted(TABLE.of_some_methods - {*OPTIONAL})
        for part in (name, *_ALONG.get(name, ()))
    }
    shown, drawn = (
        html.escape(json.dumps(data, separators=(",", ":"))) for data in (fields, block_map)
    )
    return (
        f'<div class="instantstyle-status {kind}" role="status" data-fields="{shown}" '
        f'data-map="{drawn}">{html.escape(text)}</div>'
    )
