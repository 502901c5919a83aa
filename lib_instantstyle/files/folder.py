"""The model files in a folder and how they are called, without a look into any of them.

The folder is a user's: it may hold whatever a file system can, and none of it ends a list. What
looks like a model file and is none, or cannot be reached, is listed with the reason.
"""

from __future__ import annotations

import itertools
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lib_instantstyle.errors import printable, reason

SUFFIXES = (".safetensors", ".bin", ".pth", ".pt")
MAX_DEPTH = 3  # of sub-folders; a link that points upwards must not make the scan endless
CACHE_TAG = "CACHEDIR.TAG"  # https://bford.info/cachedir/: in folders that hold no models
APPLE_DOUBLE = "._"  # begins what macOS writes beside each file where its own notes have no place
_PASSED_OVER = {"$RECYCLE.BIN", "@eaDir", "#recycle", ".Trashes"}  # of systems, and their bins
_BIN = ".Trash-"
# The cache of Hugging Face: models--OWNER--NAME/snapshots/REVISION/<the files of the repository>.
_REPOSITORY, _SNAPSHOTS = "models--", "snapshots"
_OF_REPOSITORY = {_SNAPSHOTS, "blobs", "refs", ".no_exist"}


class ModelEntry(NamedTuple):
    """What is named like a model file.

    problem: one sentence, why it cannot be read; empty for a regular file. status: size, time of
    change in nanoseconds, device and inode of a regular file; all of them 0 with a problem.
    """

    path: Path
    problem: str = ""
    status: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def identity(self) -> str:
        """The same for all names and links of one file."""
        if self.problem:  # it cannot be followed: its own path tells it from others
            return str(Path(_real(self.path.parent), self.path.name))
        return _real(self.path)


def shown_name(name: str) -> str:
    """A file's name as it is listed: composed, on one line, in characters that can be encoded."""
    return unicodedata.normalize("NFC", printable(name))


def comparable(name: str) -> str:
    """Equal for two spellings of a listed name."""
    return shown_name(name).strip()


def is_passed_over(name: str) -> bool:
    """Whether a file or folder of that name is a note of the system, not the user's."""
    return name.startswith((APPLE_DOUBLE, _BIN)) or name in _PASSED_OVER


def listed_name(path: Path, folder: Path, taken: set[str]) -> str:
    """The path in its folder without its ending, or as much more as it takes to be the only one.

    Of two files that differ in their ending only, the second keeps it. taken: names that are
    given already; gets this one.
    """
    whole = shown_name(path.relative_to(folder).as_posix() if path != folder else folder.name)
    short, where = without_suffix(whole), shown_name(folder.name)
    candidates = (short, whole, f"{short} ({where})", f"{whole} ({where})")
    numbered = (f"{whole} ({where} {number})" for number in itertools.count(2))
    name = next(name for name in itertools.chain(candidates, numbered) if name not in taken)
    taken |= {name, whole}
    return name


def without_suffix(name: str) -> str:
    """A file's name less the ending of a model file."""
    return next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)


def model_files(folder: Path, max_depth: int = MAX_DEPTH) -> Sequence[Path]:
    """The regular ones of `model_entries`."""
    return [entry.path for entry in model_entries(folder, max_depth) if not entry.problem]


def model_entries(folder: Path, max_depth: int = MAX_DEPTH) -> Sequence[ModelEntry]:
    """What is named like a model file under `folder`, by name; of equal names .safetensors first.

    A repository in Hugging Face's cache is searched as deep as `folder` itself. A folder that is
    missing holds nothing.
    """
    walk = _FolderWalk(max_depth)
    walk.visit(folder, max_depth)
    return walk.entries


class _FolderWalk:
    """One search; a folder that several links lead to is searched once."""

    def __init__(self, max_depth: int) -> None:
        self.entries: list[ModelEntry] = []
        self._max_depth = max_depth
        self._depths: dict[str, int] = {}  # by folder: how much deeper it was searched

    def visit(self, folder: Path, depth: int, in_cache: bool = False) -> None:
        """List `folder` and, `depth` levels deep, the folders in it.

        in_cache: whether `folder` is in a repository of Hugging Face's cache.
        """
        real = _real(folder)
        if self._depths.get(real, -1) >= depth:
            return
        self._depths[real] = depth
        found = self._listed(folder)
        tagged = any(entry.name == CACHE_TAG for entry in found)
        folders = [entry.name for entry in found if _is_folder(entry)]
        if not tagged:
            named = [e for e in found if e.name.endswith(SUFFIXES) and not _is_folder(e)]
            named.sort(key=lambda e: (without_suffix(e.name), not e.name.endswith(SUFFIXES[0])))
            self.entries += [e for entry in named for e in _entry(folder / entry.name, entry)]
        if _SNAPSHOTS in folders and folder.name.startswith(_REPOSITORY) and not in_cache:
            folders = [name for name in folders if name not in _OF_REPOSITORY]
            self._visit_snapshots(folder / _SNAPSHOTS)
        for name in folders if depth else ():
            if not tagged or name.startswith(_REPOSITORY):
                before = len(self.entries)
                self.visit(folder / name, depth - 1, in_cache)
                if name.endswith(SUFFIXES) and len(self.entries) == before:
                    self._refuse(folder / name, "is a folder, not a file; choose another one")

    def _visit_snapshots(self, folder: Path) -> None:
        for entry in self._listed(folder):
            if _is_folder(entry):
                self.visit(folder / entry.name, self._max_depth, in_cache=True)

    def _listed(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                found = [entry for entry in entries if not is_passed_over(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._refuse(folder, f"cannot be looked into ({reason(error)})")
            return []
        return sorted(found, key=lambda entry: entry.name)

    def _refuse(self, path: Path, why: str) -> None:
        self.entries.append(ModelEntry(path, printable(f"{path.name} {why}.")))


def _entry(path: Path, entry: os.DirEntry[str]) -> Iterator[ModelEntry]:
    """`path` as it is listed; nothing if it has gone in the meantime."""
    with suppress(OSError):
        found = entry.stat()
        if stat.S_ISREG(found.st_mode):
            status = (found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino)
            yield ModelEntry(path, status=status)
            return
    why = _why_not_regular(path)
    if why:
        yield ModelEntry(path, printable(f"{path.name} {why}."))


def _why_not_regular(path: Path) -> str:
    try:
        path.stat()
    except FileNotFoundError:
        return "is a link to a file that is not there" if os.path.lexists(path) else ""
    except OSError as error:
        return f"cannot be opened ({reason(error)})"
    return "is not a regular file; choose another one"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link that leads back to itself
        return False


def _real(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError, RuntimeError):
        return str(path)
