"""A file that one process, and one thread in it, writes at a time."""

from __future__ import annotations

import errno
import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_FAR = 2**62  # the byte that stands for the file where locks cover bytes; never written


def lock(file: IO[bytes]) -> bool:
    """Take the open `file` for oneself until it is closed; False if somebody else has it.

    The system gives the lock back when the process ends, however it ends. On a file system
    without locks everybody gets it.
    """
    try:
        if sys.platform == "win32":
            file.seek(_FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _TAKEN
    return True
