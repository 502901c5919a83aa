"""The official registry of replaced functions: patch, undo, original."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

originals: dict[Any, dict[tuple, Callable]] = defaultdict(dict)


def patch(key: Any, obj: Any, field: str, replacement: Callable) -> Callable:
    if (obj, field) in originals[key]:
        raise RuntimeError(f"patch for {field} is already applied")
    original_func = getattr(obj, field)
    originals[key][(obj, field)] = original_func
    setattr(obj, field, replacement)
    return original_func


def undo(key: Any, obj: Any, field: str) -> None:
    if (obj, field) not in originals[key]:
        raise RuntimeError(f"there is no patch for {field} to undo")
    setattr(obj, field, originals[key].pop((obj, field)))


def original(key: Any, obj: Any, field: str) -> Callable | None:
    return originals[key].get((obj, field))
