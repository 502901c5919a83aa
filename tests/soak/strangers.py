"""Files that somebody puts into the folders of models, renames and removes while others paint."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tests.unit.archives import LIES, archive_of
from tests.unit.odd_folders import ODD, make

FOLDERS = (
    "ControlNet", "Lora", "clip_vision", "text_encoder", "InstantStyle", "InstantStyle/styles",
    "InstantStyle/references", "InstantStyle/cache/embeddings",
)  # fmt: skip
UNREADABLE = "unreadable"  # how the names begin of what cannot be opened


def _lying_archive(folder: Path, name: str, sound: bytes) -> None:
    lie, _ = next(iter(LIES.values()))
    Path(folder, name).with_suffix(".bin").write_bytes(archive_of(lie))


def _torn_archive(folder: Path, name: str, sound: bytes) -> None:
    Path(folder, name).with_suffix(".pt").write_bytes(archive_of(b"\x80\x02}.")[:-40])


def _unreadable(folder: Path, name: str, sound: bytes) -> None:
    path = Path(folder, f"{UNREADABLE} {name}")
    path.write_bytes(sound)
    path.chmod(0)


DAMAGED = {
    "archive that lies": _lying_archive,
    "archive that ends early": _torn_archive,
    "unreadable file": _unreadable,
}
KINDS = (*ODD, *DAMAGED)


def put(kind: str, folder: Path, stem: str, sound: bytes) -> None:
    """An entry of that kind in `folder`."""
    if kind in ODD:
        make(kind, folder, stem, ".safetensors", sound)
        return
    folder.mkdir(parents=True, exist_ok=True)
    DAMAGED[kind](folder, f"{stem}.safetensors", sound)


class Strangers:
    """What lies in the folders below `models` that nobody of the users put there."""

    def __init__(self, models: Path, chance: random.Random, sound: bytes) -> None:
        self._models, self._chance, self._sound = models, chance, sound
        self._theirs: list[Path] = []
        self._numbers = itertools.count()
        self.met: set[str] = set()
        self.acts = 0

    def act(self) -> None:
        """Something comes, moves or goes; about thirty entries lie there at a time."""
        self.acts += 1
        many = len(self._theirs) > 30
        if self._theirs and (many or self._chance.random() < 0.3):
            path = self._theirs.pop(self._chance.randrange(len(self._theirs)))
            if many or self._chance.random() < 0.5:
                _remove(path)
            else:
                moved = path.with_name(f"moved {next(self._numbers)} {path.name[-40:]}")
                path.rename(moved)
                self._theirs.append(moved)
            return
        self._come(self._chance.choice(KINDS), self._models / self._chance.choice(FOLDERS))

    def _come(self, kind: str, folder: Path) -> None:
        stem = f"odd {next(self._numbers)}"
        # Made elsewhere first, to learn which names it takes: some are the same each time.
        with tempfile.TemporaryDirectory() as elsewhere:
            put(kind, Path(elsewhere), stem, self._sound)
            names = [path.name for path in Path(elsewhere).iterdir()]
        if any(os.path.lexists(folder / name) for name in names):
            return
        put(kind, folder, stem, self._sound)
        self._theirs += [folder / name for name in names]
        self.met.add(kind)

    def leave(self) -> None:
        """All that they brought is gone."""
        while self._theirs:
            _remove(self._theirs.pop())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def nobody_may_read_them() -> Iterator[None]:
    """Without the right to open what nobody has it for: the administrator could."""
    opened = os.open

    def refuse(path: object, *args: object, **kwargs: object) -> int:
        if isinstance(path, (str, os.PathLike)) and UNREADABLE in Path(path).name:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return opened(path, *args, **kwargs)

    with patch.object(os, "open", refuse):
        yield
