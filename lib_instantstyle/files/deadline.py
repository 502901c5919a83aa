"""One deadline over all that a network connection does: a timeout alone holds for one wait only,
and a server that sends a byte in each of them is waited for without end.
"""

from __future__ import annotations

import io
import socket
import time


class Deadline:
    """A moment, so many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return time.monotonic() >= self._end

    def left(self) -> float:
        """Seconds until then, more than 0. Raises TimeoutError when they are over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it takes too long")
        return left


class TimedSocket:
    """As much of a socket as an HTTP connection needs, no call of which outlasts `deadline`."""

    def __init__(self, opened: socket.socket, deadline: Deadline) -> None:
        self._socket = opened
        self._deadline = deadline
        self._readers = 0
        self._is_closed = False

    def sendall(self, data: bytes) -> None:
        """Send all of `data`."""
        self._socket.settimeout(self._deadline.left())
        self._socket.sendall(data)

    def recv_into(self, buffer: memoryview | bytearray) -> int:
        """Receive what has come, and wait for it if need be; 0 at the end."""
        self._socket.settimeout(self._deadline.left())
        return self._socket.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What comes, as a file; the socket stays open until it is closed."""
        self._readers += 1
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Close it, when what reads from it is closed too."""
        self._is_closed = True
        if not self._readers:
            self._socket.close()

    def release(self) -> None:
        """What read from it is closed."""
        self._readers -= 1
        if self._is_closed:
            self.close()


class _Reader(io.RawIOBase):
    def __init__(self, source: TimedSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._source.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._source.release()
