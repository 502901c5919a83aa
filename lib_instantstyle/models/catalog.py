"""The adapters and CLIP encoders that are there: folders scanned, files recognised and named.

What a file is, is remembered by path, size and time of change. Where no file has changed since the
last look, its whole result is: that costs one stat per file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_instantstyle.errors import InstantStyleError, printable, reason
from lib_instantstyle.files.folder import (
    ModelEntry,
    comparable,
    listed_name,
    model_entries,
    without_suffix,
)
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.models.adapter_kind import AdapterKind, adapter_kind
from lib_instantstyle.models.clip_kind import (
    ImageEncoderKind,
    TextEncoderKind,
    image_encoder_kind,
    text_encoder_kind,
)
from lib_instantstyle.session import SESSION
from lib_instantstyle.stages import FOLDERS

# What one file holds: an adapter, or either encoder of CLIP or both, or the reason to refuse it.
_Kinds = tuple[AdapterKind | ImageEncoderKind | TextEncoderKind | str, ...]
_Listing = list[tuple[Path, Sequence[ModelEntry]]]


class _Recognised:
    """What files were found to be, by path, size and time of change.

    last: what the last look found in each folder, and what it made of that.
    """

    def __init__(self) -> None:
        self.files: dict[tuple[str, int, int], _Kinds] = {}
        self.last: tuple[_Listing, Catalog] | None = None


@dataclass(frozen=True)
class _ModelFile:
    name: str  # as listed and asked for
    path: Path

    def version(self) -> tuple[str, int, int]:
        """Path, size in bytes and time of change in nanoseconds: equal as long as the file is.

        Raises InstantStyleError if the file is gone.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            sentence = f"{self.path.name} cannot be read ({reason(error)})."
            raise InstantStyleError(sentence) from error
        return str(self.path), status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class AdapterFile(_ModelFile):
    """An IP-Adapter file."""

    kind: AdapterKind


@dataclass(frozen=True)
class ImageEncoderFile(_ModelFile):
    """A CLIP image encoder file."""

    kind: ImageEncoderKind


@dataclass(frozen=True)
class TextEncoderFile(_ModelFile):
    """A CLIP text encoder file; the same file may be an image encoder as well."""

    kind: TextEncoderKind


@dataclass(frozen=True)
class Catalog:
    """What was found, in the order of the folders, each folder sorted by name.

    refused holds name and sentence of files that are damaged or cannot be read, and of relatives
    of IP-Adapter that cannot serve.
    """

    adapters: tuple[AdapterFile, ...]
    image_encoders: tuple[ImageEncoderFile, ...]
    refused: tuple[tuple[str, str], ...]
    text_encoders: tuple[TextEncoderFile, ...] = ()

    def adapter(self, name: str) -> AdapterFile:
        """The adapter listed as `name`; the ending of its file's name may be given or left out.

        Raises InstantStyleError that says what is wrong with it, or lists what is there.
        """
        for wanted in (comparable(name), comparable(without_suffix(name))):
            for file in self.adapters:
                if wanted in map(comparable, (file.name, file.name + file.path.suffix)):
                    return file
            for refused, sentence in self.refused:
                if comparable(refused) == wanted:
                    raise InstantStyleError(sentence)
        listed = ", ".join(file.name for file in self.adapters) or "none was found"
        raise InstantStyleError(f"adapter {name[:120]!r} is not among the files found ({listed}).")


def scan(folders: Iterable[Path]) -> Catalog:
    """Recognise every model file under `folders`; a folder that is missing is passed over."""
    with FOLDERS:
        listing = [(folder, model_entries(folder)) for folder in folders]
        recognised = SESSION.of(_Recognised)
        last = recognised.last
        if last is not None and last[0] == listing:
            return last[1]
        catalog, is_sure = _catalog(listing)
        recognised.last = (listing, catalog) if is_sure else None
        return catalog


def _catalog(listing: _Listing) -> tuple[Catalog, bool]:
    """What is in the files, and whether another look would say the same."""
    is_sure = True
    adapters: list[AdapterFile] = []
    image_encoders: list[ImageEncoderFile] = []
    text_encoders: list[TextEncoderFile] = []
    refused: list[tuple[str, str]] = []
    taken: dict[type, set[str]] = {}  # CLIP's two encoders have names of their own
    visited: set[str] = set()
    for folder, entries in listing:
        for entry in entries:
            path, identity = entry.path, entry.identity
            if identity in visited:
                continue
            visited.add(identity)
            kinds, lasts = ((entry.problem,), True) if entry.problem else _recognise(path)
            is_sure &= lasts
            for kind in kinds:
                encodes = isinstance(kind, (ImageEncoderKind, TextEncoderKind))
                group = type(kind) if encodes else AdapterKind
                name = listed_name(path, folder, taken.setdefault(group, set()))
                if isinstance(kind, AdapterKind):
                    adapters.append(AdapterFile(name, path, kind))
                elif isinstance(kind, ImageEncoderKind):
                    image_encoders.append(ImageEncoderFile(name, path, kind))
                elif isinstance(kind, TextEncoderKind):
                    text_encoders.append(TextEncoderFile(name, path, kind))
                else:
                    refused.append((name, kind))
    found = Catalog(tuple(adapters), tuple(image_encoders), tuple(refused), tuple(text_encoders))
    return found, is_sure


def _recognise(path: Path) -> tuple[_Kinds, bool]:
    """What `path` holds, and whether that is remembered.

    Nothing if it has gone between the listing and the look.
    """
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        known = SESSION.of(_Recognised).files
        if key not in known:
            known[key] = _look(path)
        return known[key], True
    except FileNotFoundError:
        return (), False
    except OSError as error:
        why = f"cannot be read ({reason(error)})"
    except Exception as error:  # one file never ends the list, whatever is wrong with it
        why = f"cannot be used ({type(error).__name__}: {reason(error)}); choose another file"
    return (printable(f"{path.name} {why}."),), False


def _look(path: Path) -> _Kinds:
    try:
        tensors = read_tensors(path)
    except InstantStyleError as error:
        return (str(error),)  # the error itself would keep its whole call stack alive
    try:
        adapter = adapter_kind(tensors)
    except InstantStyleError as error:
        return (printable(f"{path.name} {error}."),)
    found = (adapter,) if adapter else (image_encoder_kind(tensors), text_encoder_kind(tensors))
    return tuple(kind for kind in found if kind)
