"""Whether anything that was there is gone or different; what came since is allowed.

Add, never rename: a later version may have further fields, routes, components, choices, adapters
and presets. So an object may have more entries, and a list of names, or of objects that have one,
more items between the old ones, and choices may come where there were none. A description may
say the same in other words. Everything else has to be what it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

NAMES = ("elem_id", "label", "name", "id")  # of an object in a list
LEVELS = 0.5  # of 8 bits, mean over a picture: processors round differently
_MEASURED = re.compile(r'(InstantStyle \d+ (?:effect|leak|auto): )("[^"]*"|[^,\n]*)')
_NOTE = re.compile(r'InstantStyle \d+ note: (?:"[^"]*"|[^,\n]*), ')
_NUMBER = re.compile(r"-?\d+\.\d+|(?<![\w.])-?\d+(?![\w.])")


def lost(kept: Any, now: Any, *, may_grow: bool = True, near: float = 1e-6) -> list[str]:
    """A sentence for everything of `kept` that `now` has not.

    may_grow: whether lists of names may; an order of steps, or the problems of a request, may not.
    near: how far a number may be off, as a share of it.
    """
    return [*_lost(kept, now, "", may_grow, near)]


def _lost(kept: Any, now: Any, where: str, may_grow: bool, near: float) -> Iterator[str]:
    if isinstance(kept, dict) and isinstance(now, dict):
        for key, value in kept.items():
            at = f"{where}/{key}"
            if key in now and (key == "description" or (key == "choices" and value is None)):
                continue
            if key in now:
                yield from _lost(value, now[key], at, may_grow, near)
            else:
                yield f"{at} is gone; it was {value!r}"
    elif isinstance(kept, list) and isinstance(now, list):
        yield from _lost_items(kept, now, where, may_grow, near)
    elif _is_number(kept) and _is_number(now):
        if not math.isclose(kept, now, rel_tol=near, abs_tol=near):
            yield f"{where} is {now!r}; it was {kept!r}"
    elif type(kept) is not type(now) or kept != now:
        yield f"{where} is {now!r}; it was {kept!r}"


def _lost_items(kept: list, now: list, where: str, may_grow: bool, near: float) -> Iterator[str]:
    if may_grow and kept and all(_name(item) for item in kept):
        rest = iter(now)
        for item in kept:
            found = next((each for each in rest if _name(each) == _name(item)), None)
            at = f"{where}[{_name(item)}]"
            if found is None:
                yield f"{at} is gone, or stands elsewhere"
                return
            yield from _lost(item, found, at, may_grow, near)
        return
    if len(kept) != len(now):
        yield f"{where} is {now!r}; it was {kept!r}"
        return
    for place, (item, each) in enumerate(zip(kept, now)):
        yield from _lost(item, each, f"{where}[{place}]", may_grow, near)


def _name(item: Any) -> str:
    if isinstance(item, dict):
        return next((str(item[key]) for key in NAMES if key in item), "")
    return item if isinstance(item, str) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def distance(a: Image.Image, b: Image.Image) -> float:
    """Mean difference in levels of 8 bits; infinite for pictures of different size."""
    if a.size != b.size:
        return math.inf
    first, second = (np.asarray(x.convert("RGB"), float) for x in (a, b))
    return float(np.abs(first - second).mean())


def changed_text(kept: str, now: str) -> list[str]:
    """A sentence where an infotext is another, byte for byte; what was measured may be 2% off."""
    now = _NOTE.sub("", now)  # which came since
    parts = [(_MEASURED.sub(r"\1*", text), _MEASURED.findall(text)) for text in (kept, now)]
    (kept_rest, kept_measured), (now_rest, now_measured) = parts
    if kept_rest != now_rest:
        return [f"{now_rest!r}; it was {kept_rest!r}"]
    for (_, before), (_, after) in zip(kept_measured, now_measured):
        same_words = _NUMBER.sub("*", before) == _NUMBER.sub("*", after)
        numbers = [[float(x) for x in _NUMBER.findall(text)] for text in (before, after)]
        if not same_words or not np.allclose(*numbers, rtol=0.02, atol=0.002):
            return [f"{after!r}; it was {before!r}"]
    return []
