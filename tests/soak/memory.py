"""What a process holds: memory that it cannot give back, and open files."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

FLAT = 1.05  # see `growth`


def open_files() -> int:
    """How many file handles this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident() -> int:
    """Bytes of this process that are in memory, with what Python and malloc can give back."""
    gc.collect()
    try:
        import ctypes

        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except OSError:
        pass  # another C library: nothing to trim
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def growth(memory: list[tuple[str, int]], of: Callable[[list[int]], float] = max) -> float:
    """The most memory in the last third over that in the second, with the same checkpoint.

    of: what is compared of the two thirds. Where threads run, one moment may have more, so that
    the median tells what stays.
    The first third warms up: libraries, both checkpoints and every size were then used once.
    """
    third = len(memory) // 3
    ratios = [1.0]
    for checkpoint in {name for name, _ in memory}:
        before, after = (
            of([value for name, value in part if name == checkpoint] or [0])
            for part in (memory[third : 2 * third], memory[2 * third :])
        )
        if before and after:
            ratios.append(after / before)
    return max(ratios)
