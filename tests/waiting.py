"""Waiting for a state of the program under test, never for a time in which it ought to come."""

from __future__ import annotations

import time
from collections.abc import Callable

HANGS = 300  # seconds after which nothing comes any more, however slow the machine


def wait_for(holds: Callable[[], object], pause: float = 0.01) -> None:
    """Look again and again until `holds()`; an AssertionError if it never does."""
    end = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < end, f"waited {HANGS} seconds in vain"
        time.sleep(pause)
