"""The adapters and image encoders that are there: folders scanned, files recognised and named.

Headers are remembered by path, size and time of change, so a second look costs one stat per file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.model_kinds import AdapterKind, TowerKind, adapter_kind, tower_kind
from lib_instantstyle.pure.safetensors_header import read_header

SUFFIX = ".safetensors"
MAX_DEPTH = 3  # of sub-folders; a link that points upwards must not make the scan endless

_Kind = AdapterKind | TowerKind | InstantStyleError | None
_seen: dict[tuple[str, int, int], _Kind] = {}


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
class Catalog:
    """What was found, in the order of the folders, each folder sorted by name."""

    adapters: tuple[AdapterFile, ...]
    towers: tuple[TowerFile, ...]
    broken: tuple[tuple[str, str], ...]  # name, sentence

    def adapter(self, name: str) -> AdapterFile:
        """The adapter listed as `name` (an ending .safetensors is allowed).

        Raises InstantStyleError that lists what is there.
        """
        wanted = name.removesuffix(SUFFIX)
        for file in self.adapters:
            if file.name == wanted:
                return file
        for broken, sentence in self.broken:
            if broken == wanted:
                raise InstantStyleError(sentence)
        listed = ", ".join(file.name for file in self.adapters) or "none was found"
        raise InstantStyleError(f"adapter {name[:120]!r} is not among the files found ({listed}).")


def scan(folders: Iterable[Path]) -> Catalog:
    """Recognise every model file under `folders`; a folder that is missing is passed over."""
    adapters: list[AdapterFile] = []
    towers: list[TowerFile] = []
    broken: list[tuple[str, str]] = []
    taken: set[tuple[type, str]] = set()
    visited: set[Path] = set()
    for folder in folders:
        for path in _files(folder):
            real = path.resolve()
            if real in visited:
                continue
            visited.add(real)
            kind = _recognise(path)
            if kind is None:
                continue
            name = path.relative_to(folder).as_posix().removesuffix(SUFFIX)
            if (type(kind), name) in taken:
                name = f"{name} ({folder.name})"
            taken.add((type(kind), name))
            if isinstance(kind, AdapterKind):
                adapters.append(AdapterFile(name, path, kind))
            elif isinstance(kind, TowerKind):
                towers.append(TowerFile(name, path, kind))
            else:
                broken.append((name, str(kind)))
    return Catalog(tuple(adapters), tuple(towers), tuple(broken))


def _files(folder: Path) -> Sequence[Path]:
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        if len(Path(parent).relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()
        folders.sort()
        found += [Path(parent, name) for name in sorted(names) if name.endswith(SUFFIX)]
    return found


def _recognise(path: Path) -> _Kind:
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in _seen:
            tensors = read_header(path).tensors
            _seen[key] = adapter_kind(tensors) or tower_kind(tensors)
    except InstantStyleError as error:
        _seen[key] = error
    except OSError:
        return None  # unreadable, or gone between the listing and the look: not ours to judge
    return _seen[key]
