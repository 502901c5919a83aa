"""A file that is still arriving: NAME.part, its hash so far, and how it becomes NAME."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.lock import lock
from lib_instantstyle.models.published import PublishedFile

PART = ".part"
_PIECE = 2**20  # bytes


def part_path(file: PublishedFile, folder: Path) -> Path:
    """Where `file` grows in `folder`; what lists model files passes over this ending."""
    return folder / f"{file.name}{PART}"


class PartFile:
    """What has arrived of `file` in `folder`, open for nobody else while it is entered.

    Raises InstantStyleError where somebody else has it, and where the disk refuses.
    """

    def __init__(self, file: PublishedFile, folder: Path) -> None:
        self.file = file
        self.size = 0  # bytes that are here and hashed
        self._path = part_path(file, folder)
        self._target = folder / file.name

    def __enter__(self) -> PartFile:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("a+b")
        except OSError as error:
            raise self._refusal(error) from error
        if not lock(self._stream):
            self._stream.close()
            raise InstantStyleError(
                f"{self.file.name} is being downloaded already, perhaps by another WebUI."
            )
        self._hash = hashlib.sha256()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What is left to write may find the disk full; the bytes that count are hashed anew.
        try:
            self._stream.close()
        except OSError as late:
            if kind is None:
                raise self._refusal(late) from late

    def take_up(self, see: Callable[[], None]) -> None:
        """Hash what an earlier try left; `see` is called for each piece."""
        self._stream.seek(0)
        while self.size < self.file.size and (
            piece := self._stream.read(min(_PIECE, self.file.size - self.size))
        ):
            self._hash.update(piece)
            self.size += len(piece)
            see()
        if self._stream.read(1):  # more than there can be: not ours to go on with
            self.start_over()

    def start_over(self) -> None:
        """Forget what is here."""
        self._stream.truncate(0)
        self._hash = hashlib.sha256()
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Write the next bytes; those before them are kept if the disk refuses."""
        try:
            self._stream.write(piece)
            self._stream.flush()
        except OSError as error:
            raise self._refusal(error) from error
        self._hash.update(piece)
        self.size += len(piece)

    @property
    def digest(self) -> str:
        """SHA-256 of what is here."""
        return self._hash.hexdigest()

    def remove(self) -> None:
        """Delete what is here; after it has been left."""
        self._path.unlink(missing_ok=True)

    def finish(self) -> Path:
        """Give the whole file its name; after it has been left. Nothing is ever replaced."""
        try:
            self._name()
            self.remove()
        except FileExistsError:
            self.remove()
            raise InstantStyleError(
                f"{self.file.name} is there already, and is not replaced."
            ) from None
        except OSError as error:
            raise self._refusal(error) from error
        return self._target

    def _name(self) -> None:
        try:
            self._target.hardlink_to(self._path)  # refuses where the name is taken
        except FileExistsError:
            raise
        except OSError:  # a file system without second names
            if os.path.lexists(self._target):
                raise FileExistsError from None
            self._path.rename(self._target)

    def _refusal(self, error: OSError) -> InstantStyleError:
        return InstantStyleError(
            f"{self.file.name} cannot be written into {self._path.parent} ({error.strerror}); "
            "what has arrived is kept."
        )
