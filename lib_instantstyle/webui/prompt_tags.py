"""The tags in a generation's prompts, as units.

The WebUI takes its extra networks from the first prompt of a batch; hires fix has prompts of its
own. A batch whose prompts name different styles is refused: the style acts on all of its pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib_instantstyle.methods import TABLE
from lib_instantstyle.pure.choices import BOTH
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.style_tags import (
    NAME,
    TAG_LIMIT,
    in_pass,
    parse_tag,
    passes_of,
    tags_in,
    unit_of,
)
from lib_instantstyle.pure.units import Unit
from lib_instantstyle.webui.style_library import library

Tags = tuple[tuple[str, str], ...]  # what stands in a tag, and the pass that it is for

_NEGATIVE = ("negative_prompt", "hr_negative_prompt")
_PROMPTS = ("prompt", "hr_prompt", *_NEGATIVE)  # of a request


def of_batch(p: Any, number: int) -> Tags:
    """The tags in the prompts of batch `number`, which the WebUI has taken out of them by now.

    Raises InstantStyleError for tags where the WebUI would pass them over.
    """
    if getattr(p, "disable_extra_networks", False):
        return ()
    _check(p, number)
    hires = p.hr_extra_network_data if getattr(p, "enable_hr", False) else None
    return tuple(
        passes_of(_ours(p.extra_network_data or {}), None if hires is None else _ours(hires))
    )


def of_request(given: Mapping[str, object]) -> Tags:
    """The tags in the prompts of a request for one picture.

    Raises InstantStyleError for tags in a negative prompt.
    """
    said = {name: text if isinstance(text := given.get(name), str) else "" for name in _PROMPTS}
    for name in _NEGATIVE:
        _refuse_negative(said[name])
    base, hires = tags_in(said["prompt"]), None
    if given.get("enable_hr") is True:
        hires = tags_in(said["hr_prompt"] or said["prompt"])
    return tuple(passes_of(base, hires))


def units_of(tags: Tags, first: int) -> list[Unit]:
    """One unit for each tag, numbered from `first`.

    Raises InstantStyleError, naming the tag, for a style that is not there or a wrong value.
    """
    if len(tags) > TAG_LIMIT:
        raise InstantStyleError(
            f"the prompt has {len(tags)} <{NAME}:...> tags; up to {TAG_LIMIT} are allowed."
        )
    units = []
    for place, (content, which) in enumerate(tags, start=first):
        tag = parse_tag(content, TABLE)
        try:
            saved = library().find(tag.name)
        except InstantStyleError as error:
            raise InstantStyleError(f"{tag.text}: {error}") from None
        unit = unit_of(tag, saved.info.settings, place, TABLE)
        units.append(unit if which == BOTH else in_pass(unit, which))
    return [unit for unit in units if unit.acts]


def _check(p: Any, number: int) -> None:
    batch = slice(number * p.batch_size, (number + 1) * p.batch_size)
    for name in ("all_negative_prompts", "all_hr_negative_prompts"):
        for prompt in (getattr(p, name, None) or ())[batch]:
            _refuse_negative(prompt)
    for name in ("all_prompts", "all_hr_prompts"):
        named = [sorted(tags_in(prompt)) for prompt in (getattr(p, name, None) or ())[batch]]
        if any(tags != named[0] for tags in named):
            raise InstantStyleError(
                f"the prompts of one batch have different <{NAME}:...> tags; the same ones in all "
                "of them are allowed, or batch size 1."
            )


def _refuse_negative(prompt: str) -> None:
    if tags := tags_in(prompt):
        raise InstantStyleError(
            f"<{NAME}:{tags[0]}> stands in the negative prompt; tags are allowed in the "
            "prompt, and negative_image keeps a picture away from something."
        )


def _ours(data: Mapping[str, Sequence[Any]]) -> list[str]:
    """Our tags in what the WebUI has parsed: lists of arguments by the name of the network."""
    return [
        ":".join(map(str, params.items))
        for name, found in data.items()
        if name.lower() == NAME
        for params in found
    ]
