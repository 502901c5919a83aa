"""How long each part of the start took."""

from __future__ import annotations

import time
from contextlib import contextmanager


class Timer:
    def __init__(self, print_log: bool = False) -> None:
        self.start = time.time()
        self.records: dict[str, float] = {}
        self.total = 0.0
        self._last = self.start

    def record(self, category: str, extra_time: float = 0, disable_log: bool = False) -> None:
        now = time.time()
        taken = now - self._last + extra_time
        self._last = now
        self.records[category] = self.records.get(category, 0.0) + taken
        self.total += taken

    @contextmanager
    def subcategory(self, name: str):
        yield
        self.record(name)

    def summary(self) -> str:
        slow = ", ".join(f"{k}: {v:.1f}s" for k, v in self.records.items() if v >= 0.1)
        return f"{self.total:.1f}s" + (f" ({slow})" if slow else "")

    def dump(self) -> dict:
        return {"total": self.total, "records": self.records}

    def reset(self) -> None:
        self.__init__()


startup_timer = Timer()
startup_record: dict | None = None
