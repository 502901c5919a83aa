"""The state of this process between requests: one object of each class, made at its first use."""

from __future__ import annotations

from typing import Any, TypeVar

Kept = TypeVar("Kept")


class Session:
    """One object of each class; the classes take no arguments."""

    def __init__(self) -> None:
        self._kept: dict[type[Any], Any] = {}

    def of(self, kind: type[Kept]) -> Kept:
        """The object of the class `kind`."""
        found: Kept | None = self._kept.get(kind)
        # Two threads may both make one; the first is kept.
        return self._kept.setdefault(kind, kind()) if found is None else found

    def clear(self) -> None:
        """Drop all objects."""
        self._kept.clear()


SESSION = Session()
