"""Files that are either there in full or not at all."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lib_instantstyle.errors import printable
from lib_instantstyle.session import SESSION

TEMPORARY = ".tmp"
_TEMPORARY = re.compile(rf"\.[0-9a-f]{{32}}{re.escape(TEMPORARY)}")
_ABANDONED = 3600.0  # seconds after which no process is still writing a temporary file


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, in place of what is there, making its folder if need be.

    A reader at the same time gets the old file or the new one. Raises OSError.
    """
    with _beside(path, data) as temporary:
        temporary.replace(path)


def create_file(path: Path, data: bytes) -> None:
    """The same where nothing has that name yet, not even since a moment ago.

    Raises FileExistsError where something has it, another OSError if it cannot be written.
    """
    with _beside(path, data) as temporary:
        rename_file(temporary, path)


def rename_file(path: Path, target: Path) -> None:
    """Give `path` the name `target`, in the same folder, if nothing has it yet.

    Raises FileExistsError where something has it, another OSError if that cannot be done.
    """
    if os.name == "nt":  # whose own call does the same
        path.rename(target)
        return
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: take the name, then put the file there
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            path.replace(target)
        except BaseException:
            target.unlink()
            raise
    else:
        path.unlink()


def shown_folder(folder: Path) -> str:
    """A folder of ours as sentences name it, such as models/InstantStyle/references.

    What lies above tells strangers about this machine.
    """
    return printable("/".join(folder.parts[-3:]))


@contextmanager
def _beside(path: Path, data: bytes) -> Iterator[Path]:
    """A temporary file in the folder of `path` with `data`; what is left of it is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    temporary = path.with_name(f".{uuid.uuid4().hex}{TEMPORARY}")
    try:
        temporary.write_bytes(data)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


class _Swept:
    """When each folder was last looked through; what was too young then is old an hour later."""

    def __init__(self) -> None:
        self._times: dict[Path, float] = {}

    def see_to(self, folder: Path) -> None:
        """Look through `folder` now, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._times.get(folder, -_ABANDONED) >= _ABANDONED:
            self._times[folder] = now
            _sweep(folder)


def sweep(folder: Path) -> None:
    """Have `folder` looked through for files that were never finished; most calls do nothing."""
    SESSION.of(_Swept).see_to(folder)


def _sweep(folder: Path) -> None:
    """Delete what a process that was stopped in the middle of writing has left in `folder`."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and _is_plain_file(entry):
                with suppress(OSError):
                    if time.time() - entry.stat().st_mtime > _ABANDONED:
                        Path(entry.path).unlink()


# A folder of ours with files named by hash, of which the longest unused go when it is full.
#
# Several processes may use one folder: a file is there in full or not at all, and one that another
# process has deleted is one that is not there.


@dataclass(frozen=True)
class BoundedFolder:
    """Files `<64 hexadecimal digits><suffix>`; no other file in it is touched."""

    path: Path
    suffix: str
    capacity: int  # bytes

    def read(self, digest: str) -> bytes | None:
        """The file of that name, which counts as used now; None if it is not there."""
        path = self._file(digest)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):  # a folder that cannot be written to
            os.utime(path)
        return data

    def write(self, digest: str, data: bytes) -> None:
        """Write the file, and delete others if there is no room for all.

        Nothing happens if it is there already, or alone too large. Raises OSError.
        """
        if len(data) > self.capacity or self._file(digest).exists():
            return
        write_file(self._file(digest), data)
        self._make_room(digest)

    def remove(self, digest: str) -> None:
        """Delete the file, if that is allowed."""
        with suppress(OSError):
            self._file(digest).unlink(missing_ok=True)

    def digests(self) -> list[str]:
        """The names that are there, without the ending."""
        return sorted(entry.name.removesuffix(self.suffix) for entry in self._entries())

    def _file(self, digest: str) -> Path:
        return self.path / f"{digest}{self.suffix}"

    def _entries(self) -> list[os.DirEntry[str]]:
        ours = re.compile(rf"[0-9a-f]{{64}}{re.escape(self.suffix)}")
        try:
            with os.scandir(self.path) as entries:
                return [e for e in entries if ours.fullmatch(e.name) and _is_plain_file(e)]
        except OSError:
            return []

    def _make_room(self, newest: str) -> None:
        used: list[tuple[float, int, str]] = []
        for entry in self._entries():
            with suppress(OSError):
                status = entry.stat()
                used.append((status.st_mtime, status.st_size, entry.path))
        held = sum(size for _, size, _ in used)
        for _, size, path in sorted(used):
            if held <= self.capacity:
                break
            if not path.endswith(f"{newest}{self.suffix}"):
                with suppress(OSError):
                    Path(path).unlink(missing_ok=True)
                    held -= size
        _sweep(self.path)


def _is_plain_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False
