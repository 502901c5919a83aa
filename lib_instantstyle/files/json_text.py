"""JSON from outside, within its budgets.

Python before 3.11 needs time that grows with the square of the digits of a whole number. No Python
reads brackets that are nested too deep, or later code fails on the result.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lib_instantstyle.limits import DEPTH, DIGITS

Pairs = Callable[[list[tuple[str, Any]]], Any]


class UnreadableJson(ValueError):
    """The text is no JSON, or more than is allowed; its text is the end of a sentence."""

    def __init__(self, problem: str, position: int | None = None) -> None:
        """position: the character at fault, from 0, where there is one."""
        super().__init__(problem)
        self.position = position


def read_json(text: str | bytes, table: Pairs | None = None) -> Any:
    """What `text` holds. table: makes an object of its pairs, and may raise.

    Raises UnreadableJson.
    """
    try:
        found = json.loads(text, parse_int=_integer, object_pairs_hook=table)
    except json.JSONDecodeError as error:
        raise UnreadableJson(error.msg, error.pos) from None
    except UnicodeDecodeError:
        raise UnreadableJson("it is not UTF-8") from None
    except RecursionError:
        raise UnreadableJson(_TOO_DEEP) from None
    if _is_deep(found):
        raise UnreadableJson(_TOO_DEEP)
    return found


_TOO_DEEP = f"its brackets lie more than {DEPTH} deep in one another"


def _integer(digits: str) -> int:
    if len(digits) > DIGITS:
        raise UnreadableJson(
            f"a whole number in it has {len(digits)} digits, up to {DIGITS} are allowed"
        )
    return int(digits)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH):
        level = [
            item
            for holder in level
            if isinstance(holder, (dict, list))
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True
