"""The adapters and CLIP encoders that are there: folders scanned, files recognised and named.

What a file is, is remembered by path, size and time of change, so a second look costs one stat
per file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib_instantstyle.pure.adapter_kind import AdapterKind, adapter_kind
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.model_file import read_tensors
from lib_instantstyle.pure.model_folder import listed_name, model_files, without_suffix
from lib_instantstyle.pure.text_kind import TextKind, text_kind
from lib_instantstyle.pure.tower_kind import TowerKind, tower_kind

# What one file holds: an adapter, or either half of CLIP or both, or the reason to refuse it.
_Kinds = tuple[AdapterKind | TowerKind | TextKind | str, ...]
_seen: dict[tuple[str, int, int], _Kinds] = {}


@dataclass(frozen=True)
class AdapterFile:
    """An IP-Adapter file."""

    name: str  # as listed and asked for
    path: Path
    kind: AdapterKind


@dataclass(frozen=True)
class TowerFile:
    """A CLIP image encoder file."""

    name: str
    path: Path
    kind: TowerKind


@dataclass(frozen=True)
class TextFile:
    """A CLIP text encoder file; the same file may be an image encoder as well."""

    name: str
    path: Path
    kind: TextKind


@dataclass(frozen=True)
class Catalog:
    """What was found, in the order of the folders, each folder sorted by name.

    refused holds name and sentence of files that are damaged, and of relatives of IP-Adapter that
    cannot serve.
    """

    adapters: tuple[AdapterFile, ...]
    towers: tuple[TowerFile, ...]
    refused: tuple[tuple[str, str], ...]
    texts: tuple[TextFile, ...] = ()

    def adapter(self, name: str) -> AdapterFile:
        """The adapter listed as `name`; the ending of its file's name may be given or left out.

        Raises InstantStyleError that says what is wrong with it, or lists what is there.
        """
        for wanted in (name, without_suffix(name)):
            for file in self.adapters:
                if wanted in (file.name, file.name + file.path.suffix):
                    return file
            for refused, sentence in self.refused:
                if refused == wanted:
                    raise InstantStyleError(sentence)
        listed = ", ".join(file.name for file in self.adapters) or "none was found"
        raise InstantStyleError(f"adapter {name[:120]!r} is not among the files found ({listed}).")


def scan(folders: Iterable[Path]) -> Catalog:
    """Recognise every model file under `folders`; a folder that is missing is passed over."""
    adapters: list[AdapterFile] = []
    towers: list[TowerFile] = []
    texts: list[TextFile] = []
    refused: list[tuple[str, str]] = []
    taken: dict[type, set[str]] = {}  # the two halves of CLIP have names of their own
    visited: set[Path] = set()
    for folder in folders:
        for path in model_files(folder):
            real = path.resolve()
            if real in visited:
                continue
            visited.add(real)
            for kind in _recognise(path):
                group = type(kind) if isinstance(kind, (TowerKind, TextKind)) else AdapterKind
                name = listed_name(path, folder, taken.setdefault(group, set()))
                if isinstance(kind, AdapterKind):
                    adapters.append(AdapterFile(name, path, kind))
                elif isinstance(kind, TowerKind):
                    towers.append(TowerFile(name, path, kind))
                elif isinstance(kind, TextKind):
                    texts.append(TextFile(name, path, kind))
                else:
                    refused.append((name, kind))
    return Catalog(tuple(adapters), tuple(towers), tuple(refused), tuple(texts))


def _recognise(path: Path) -> _Kinds:
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in _seen:
            _seen[key] = _look(path)
    except OSError:
        return ()  # unreadable, or gone between the listing and the look: not ours to judge
    return _seen[key]


def _look(path: Path) -> _Kinds:
    try:
        tensors = read_tensors(path)
    except InstantStyleError as error:
        return (str(error),)  # the error itself would keep alive whoever looked first
    try:
        adapter = adapter_kind(tensors)
    except InstantStyleError as error:
        return (f"{path.name} {error}.",)
    found = (adapter,) if adapter else (tower_kind(tensors), text_kind(tensors))
    return tuple(kind for kind in found if kind)
