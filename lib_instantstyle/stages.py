"""The stages of a generation before its first sampling step, and a clock for them.

A stage is entered as a `with` block. While nobody watches, that costs a look at one variable.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident


class StageClock:
    """What the stages took while it watched, by their names.

    seconds: without those of stages inside. entries: how often each was entered.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.entries: Counter[str] = Counter()
        self._open: dict[int, list[str]] = {}  # by thread: the stages that it is in
        self._since: dict[int, float] = {}  # by thread: when the innermost began, or went on

    def begin(self, name: str) -> None:
        """The stage `name` begins in this thread; the one around it waits."""
        self._book()
        self._open.setdefault(get_ident(), []).append(name)
        self.entries[name] += 1

    def end(self, name: str) -> None:
        """It ends; nothing happens if it began before the clock watched."""
        self._book()
        opened = self._open.get(get_ident())
        if opened and opened[-1] == name:
            opened.pop()

    def _book(self) -> None:
        thread, now = get_ident(), time.perf_counter()
        if opened := self._open.get(thread):
            self.seconds[opened[-1]] += now - self._since[thread]
        self._since[thread] = now


_clock: StageClock | None = None


class Stage:
    """One stage; a context manager that may be entered again and again, also inside others."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        if _clock is not None:
            _clock.begin(self.name)

    def __exit__(self, *error: object) -> None:
        if _clock is not None:
            _clock.end(self.name)


REQUEST = Stage("request read")  # the fields of all units, and their pictures
FOLDERS = Stage("folders scanned")
ENCODER_LOAD = Stage("image encoder loaded")
ENCODER_RUN = Stage("image encoder run")
ADAPTER = Stage("adapter file read")
TOKENS = Stage("tokens")
KEYS_AND_VALUES = Stage("keys and values")
HOOKS = Stage("hooks put on")
STAGES = (
    REQUEST, FOLDERS, ENCODER_LOAD, ENCODER_RUN, ADAPTER, TOKENS, KEYS_AND_VALUES, HOOKS,
)  # fmt: skip


@contextmanager
def watched() -> Iterator[StageClock]:
    """Watch the stages of all threads in this block; only one clock at a time does."""
    global _clock
    before, _clock = _clock, StageClock()
    try:
        yield _clock
    finally:
        _clock = before
