"""`<instantstyle:name:0.8>` in a prompt: a unit with a saved style.

    <instantstyle:NAME>                       as the style was saved
    <instantstyle:NAME:0.8>                   its weights times 0.8, as a LoRA's multiplier
    <instantstyle:NAME:0.8:preset=layout>     with other values for fields of the unit

The WebUI takes tags out of the prompt before it is encoded, but leaves them in the infotext.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.pure.choices import BASE, BOTH, HIRES
from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.pure.units import Table, Unit
from lib_instantstyle.pure.values import Number

NAME = "instantstyle"
TAG_LIMIT = 10  # in one prompt
# In any case: the WebUI silently drops tags of networks that it does not know.
_TAG = re.compile(rf"<{NAME}:([^>]+)>", re.IGNORECASE)
_NOT_IN_TAGS = ("enabled", "style")
_multiplier = Number(-10, 10)


@dataclass(frozen=True)
class StyleTag:
    """One tag, read but not looked up."""

    text: str  # as it stands in the prompt
    name: str
    multiplier: float
    fields: Mapping[str, str]


def tags_in(prompt: str) -> list[str]:
    """What stands behind the colon of each of our tags in `prompt`, such as "sunset:0.8"."""
    return _TAG.findall(prompt)


def parse_tag(content: str, table: Table) -> StyleTag:
    """Read one of these, which may set fields of `table`.

    Raises InstantStyleError that names the tag.
    """
    text = f"<{NAME}:{content}>"
    positional: list[str] = []
    named: dict[str, str] = {}
    for item in content.split(":"):
        key, equals, value = item.partition("=")
        if equals:
            named[key.strip()] = value.strip()
        else:
            positional.append(item.strip())
    unknown = [key for key in named if key not in table.page_fields or key in _NOT_IN_TAGS]
    if not 1 <= len(positional) <= 2 or not positional[0] or unknown:
        about = f" ({shorten(unknown[0])} is no field that a tag can set)" if unknown else ""
        raise InstantStyleError(
            f"{shorten(text)} cannot be read{about}; <{NAME}:name>, <{NAME}:name:0.8> or "
            f"<{NAME}:name:0.8:preset=style> is allowed."
        )
    try:
        multiplier = _multiplier(positional[1]) if len(positional) == 2 else 1.0
    except InstantStyleError as error:
        raise InstantStyleError(
            f"{shorten(text)}: the weight is {shorten(positional[1])}; {error}."
        ) from None
    return StyleTag(text, positional[0], multiplier or 0.0, named)


def unit_of(tag: StyleTag, settings: Mapping[str, Any], place: int, table: Table) -> Unit:
    """The unit that `tag` asks for.

    settings: those that its style was saved with; they hold for what the tag does not set.
    place: its number among the units. Raises InstantStyleError that names the tag.
    """
    try:
        unit = table.parse_unit({**settings, **tag.fields, "style": tag.name})
        weights = {
            name: value * tag.multiplier
            for name in table.strengths
            if (value := getattr(unit, name)) is not None
        }
        unit = table.parse_unit({**settings, **tag.fields, "style": tag.name, **weights})
    except InstantStyleError as error:
        problem = str(error).removeprefix("unit 1: ")
        raise InstantStyleError(f"{shorten(tag.text)}: {problem}") from None
    return unit.changed(number=place, tag=tag.text)


def in_pass(unit: Unit, which: str) -> Unit:
    """`unit` in the pass BASE or HIRES of hires fix only, and in none that it leaves out."""
    if unit.hires_pass in (BOTH, which):
        return unit.changed(hires_pass=which)
    return unit.changed(enabled=False)


def passes_of(base: Sequence[str], hires: Sequence[str] | None) -> list[tuple[str, str]]:
    """Tags with the pass that each is for: the first pass and hires fix may have own prompts.

    hires: None without hires fix.
    """
    if hires is None or sorted(base) == sorted(hires):
        return [(tag, BOTH) for tag in base]
    return [(tag, BASE) for tag in base] + [(tag, HIRES) for tag in hires]
