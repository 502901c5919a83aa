"""The line under each unit that says in plain words what the unit will do, or what is missing."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.units import PAGE_FIELDS, PAGE_PICTURES, page_values, parse_unit

_OFF = "This unit is off."


def lines(values: Sequence[object]) -> list[str]:
    """The status of every unit as HTML; values: the PAGE_FIELDS of all units, without pictures."""
    count = len(values) // len(PAGE_FIELDS)
    units = page_values([*values, *[""] * (count * len(PAGE_PICTURES))])
    return [_line(unit, number) for number, unit in enumerate(units, start=1)]


def _line(values: Mapping[str, object], number: int) -> str:
    from lib_instantstyle.webui import outlook  # opens model files: not for a closed accordion

    try:
        unit = parse_unit({**values, "enabled": True}, number)
        seen = outlook.of(unit)
    except InstantStyleError as error:
        return _html(_sentence(str(error), number), is_problem=True)
    text = seen.text if values["enabled"] else f"{_OFF} {seen.text}"
    return _html(text, seen.is_problem, seen.block_map)


def _sentence(text: str, number: int) -> str:
    text = text.removeprefix(f"unit {number}: ")
    return text[:1].upper() + text[1:]


def _html(text: str, is_problem: bool, block_map: Any = None) -> str:
    """The line; the page's script draws the block map from the data it carries."""
    kind = "instantstyle-problem" if is_problem else "instantstyle-fine"
    data = html.escape(json.dumps(block_map, separators=(",", ":")))
    return (
        f'<div class="instantstyle-status {kind}" role="status" data-map="{data}">'
        f"{html.escape(text)}</div>"
    )
