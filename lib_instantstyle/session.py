"""What this process keeps between requests: one object of each kind, made when first asked for."""

from __future__ import annotations

from typing import Any, TypeVar

Kept = TypeVar("Kept")


class Session:
    """One object of each kind. A kind is a class that can be made without arguments."""

    def __init__(self) -> None:
        self._kept: dict[type[Any], Any] = {}

    def of(self, kind: type[Kept]) -> Kept:
        """The object of `kind`."""
        found: Kept | None = self._kept.get(kind)
        # Two threads may both make one; the first to arrive is kept.
        return self._kept.setdefault(kind, kind()) if found is None else found

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()


SESSION = Session()
