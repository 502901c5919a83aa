"""Users' files opened: only regular ones, which never make anybody wait."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lib_instantstyle.errors import InstantStyleError, reason

# Opening a pipe without the first would wait until somebody writes to it.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> BinaryIO:
    """`path`, open for reading.

    Raises InstantStyleError if it is no regular file (a pipe, a socket, a device, a folder),
    OSError if it cannot be opened at all.
    """
    number = os.open(path, _FLAGS | getattr(os, "O_CLOEXEC", 0))
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise InstantStyleError(f"{path.name} is not a regular file; choose another one.")
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an OSError in this block into a sentence that names `path`, less its folder."""
    try:
        yield
    except OSError as error:
        raise InstantStyleError(f"{path.name} cannot be read ({reason(error)}).") from error
