"""`<instantstyle:NAME:0.8>` in a prompt: a unit with a saved style.

    <instantstyle:NAME>                      with the settings that the style was saved with
    <instantstyle:NAME:0.8>                  its weights times 0.8, as a LoRA's multiplier
    <instantstyle:NAME:0.8:preset=layout>    with other values for fields of the unit

The WebUI takes tags out of the prompt before it is encoded, but leaves them in the infotext. It
reads them from the first prompt of a batch; hires fix has prompts of its own. A style acts on all
pictures of a batch, so a batch whose prompts have different tags is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.styles.library import library
from lib_instantstyle.units.choices import BASE, BOTH, HIRES
from lib_instantstyle.units.unit import Table, Unit
from lib_instantstyle.units.values import Boolean, Number

TAG = "instantstyle"
# In any case of letters: the WebUI silently drops tags of networks that it does not know.
_TAG = re.compile(rf"<{TAG}:(.+)", re.IGNORECASE | re.DOTALL)  # without the > behind it
_NOT_IN_TAGS = ("enabled", "style")
_multiplier = Number(-10, 10)
_NEGATIVE = ("negative_prompt", "hr_negative_prompt")
_SWITCH = {"true": True, "false": False}
_TRUE = ("1", "on", "t", "true", "y", "yes")
_PROMPTS = ("prompt", "hr_prompt", *_NEGATIVE)  # of a request

Tags = tuple[tuple[str, str], ...]
"""The content of each tag, and the pass that it is for: BOTH, BASE or HIRES."""


@dataclass(frozen=True)
class StyleTag:
    """One parsed tag; the style need not exist."""

    text: str  # as it stands in the prompt
    name: str
    multiplier: float
    fields: Mapping[str, str | bool]


def tags_in(prompt: str) -> list[str]:
    """The content of each of our tags in `prompt`: what is behind the colon, "sunset:0.8"."""
    # A pattern that looked for the > itself would look to the end of the prompt from each <.
    pieces = prompt.split(">")[:-1]
    return [found[1] for piece in pieces if (found := _TAG.search(piece))]


def parse_tag(content: str, table: Table) -> StyleTag:
    """Parse the content of a tag, which may set fields of `table`.

    Raises InstantStyleError that names the tag.
    """
    text = f"<{TAG}:{content}>"
    if len(content) > limits.TAG_CHARACTERS:
        raise InstantStyleError(
            f"{shorten(text)} has {len(text):,} characters; up to {limits.TAG_CHARACTERS:,} are "
            "allowed."
        )
    positional: list[str] = []
    named: dict[str, str | bool] = {}
    for item in content.split(":"):
        key, equals, value = item.partition("=")
        if equals:
            named[key.strip()] = value.strip()
        else:
            positional.append(item.strip())
    for key, written in named.items():
        if key in table.fields and isinstance(table.fields[key].parse, Boolean):
            named[key] = _SWITCH.get(str(written).lower(), written)
    unknown = [key for key in named if key not in table.page_fields or key in _NOT_IN_TAGS]
    if not 1 <= len(positional) <= 2 or not positional[0] or unknown:
        about = f" ({shorten(unknown[0])} is no field that a tag can set)" if unknown else ""
        raise InstantStyleError(
            f"{shorten(text)} cannot be read{about}; <{TAG}:name>, <{TAG}:name:0.8> or "
            f"<{TAG}:name:0.8:preset=style> is allowed."
        )
    try:
        multiplier = _multiplier(positional[1]) if len(positional) == 2 else 1.0
    except InstantStyleError as error:
        raise InstantStyleError(
            f"{shorten(text)}: the weight is {shorten(positional[1])}; {error}."
        ) from None
    return StyleTag(text, positional[0], multiplier or 0.0, named)


def unit_of(tag: StyleTag, settings: Mapping[str, Any], place: int, table: Table) -> Unit:
    """The unit of `tag`.

    settings: those that its style was saved with, for fields that the tag does not set. place: the
    number of the unit. Raises InstantStyleError that names the tag.
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
    """`unit` for the pass `which` (BASE or HIRES) alone; switched off if it is not in that pass."""
    if unit.hires_pass in (BOTH, which):
        return unit.changed(hires_pass=which)
    return unit.changed(enabled=False)


def passes_of(base: Sequence[str], hires: Sequence[str] | None) -> list[tuple[str, str]]:
    """Each tag with its pass: hires fix may have prompts, and so tags, of its own.

    base, hires: the tags of the two passes; hires: None without hires fix.
    """
    if hires is None or sorted(base) == sorted(hires):
        return [(tag, BOTH) for tag in base]
    return [(tag, BASE) for tag in base] + [(tag, HIRES) for tag in hires]


def of_batch(p: Any, number: int) -> Tags:
    """The tags in the prompts of batch `number`, from which the WebUI has removed them by now.

    Raises InstantStyleError for tags that the WebUI would ignore.
    """
    if getattr(p, "disable_extra_networks", False):
        return ()
    _check_prompts(p, number)
    hires = p.hr_extra_network_data if getattr(p, "enable_hr", False) else None
    return tuple(
        passes_of(_ours(p.extra_network_data or {}), None if hires is None else _ours(hires))
    )


def is_true(value: object) -> bool:
    """Whether the WebUI's API takes `value` for true."""
    return str(value).lower() in _TRUE


def of_request(given: Mapping[str, object]) -> Tags:
    """The tags in the prompts of the request `given`, and in the prompt styles that it names.

    Raises InstantStyleError for tags in a negative prompt.
    """
    from lib_instantstyle.hosts.settings import with_prompt_styles

    texts = {name: text if isinstance(text := given.get(name), str) else "" for name in _PROMPTS}
    named = given.get("styles")
    names = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    in_passes = [texts["prompt"]]
    if is_true(given.get("enable_hr")):
        in_passes.append(texts["hr_prompt"] or texts["prompt"])
    for name in _NEGATIVE:
        _refuse_negative(with_prompt_styles(texts[name], names, negative=True))
    base, *hires = (tags_in(with_prompt_styles(text, names)) for text in in_passes)
    return tuple(passes_of(base, hires[0] if hires else None))


def units_of(tags: Tags, first: int, table: Table) -> list[Unit]:
    """The units of `tags`, with the fields of `table`, numbered from `first`.

    Raises InstantStyleError, naming the tag, for an unknown style or a wrong value.
    """
    if len(tags) > limits.TAGS:
        raise InstantStyleError(
            f"the prompt has {len(tags)} <{TAG}:...> tags; up to {limits.TAGS} are allowed."
        )
    units = []
    for place, (content, which) in enumerate(tags, start=first):
        tag = parse_tag(content, table)
        try:
            saved = library(table).find(tag.name)
        except InstantStyleError as error:
            raise InstantStyleError(f"{tag.text}: {error}") from None
        unit = unit_of(tag, saved.info.settings, place, table)
        units.append(unit if which == BOTH else in_pass(unit, which))
    return units


def _check_prompts(p: Any, number: int) -> None:
    batch = slice(number * p.batch_size, (number + 1) * p.batch_size)
    for name in ("all_negative_prompts", "all_hr_negative_prompts"):
        for prompt in (getattr(p, name, None) or ())[batch]:
            _refuse_negative(prompt)
    for name in ("all_prompts", "all_hr_prompts"):
        named = [sorted(tags_in(prompt)) for prompt in (getattr(p, name, None) or ())[batch]]
        if any(tags != named[0] for tags in named):
            raise InstantStyleError(
                f"the prompts of one batch have different <{TAG}:...> tags; the same ones in all "
                "of them are allowed, or batch size 1."
            )


def _refuse_negative(prompt: str) -> None:
    if tags := tags_in(prompt):
        raise InstantStyleError(
            f"<{TAG}:{tags[0]}> stands in the negative prompt; tags are allowed in the "
            "prompt, and negative_image keeps a picture away from something."
        )


def _ours(data: Mapping[str, Sequence[Any]]) -> list[str]:
    """The contents of our tags in the WebUI's parsed extra networks: arguments by network."""
    return [
        ":".join(map(str, params.items))
        for name, found in data.items()
        if name.lower() == TAG
        for params in found
    ]
