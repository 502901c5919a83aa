"""The saved styles: one flat folder of style files, listed, renamed, deleted and imported.

A name from outside becomes part of a path only after names.check_name; the file to read, rename or
delete is found by comparing with the listed names. Imports no torch, because the page lists styles
before one is used.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, printable, reason, shorten
from lib_instantstyle.files.folder import is_passed_over, shown_name
from lib_instantstyle.files.own_files import create_file, rename_file, sweep
from lib_instantstyle.hosts import own_folder
from lib_instantstyle.session import SESSION
from lib_instantstyle.styles.names import check_name, same_name

if TYPE_CHECKING:  # the page is built without a look into a style file
    from lib_instantstyle.styles.header import StyleInfo
    from lib_instantstyle.units.unit import Table

SUFFIX = ".safetensors"
_NAMING = Lock()  # held from the look whether a name is free until it is taken
_LISTED = 20  # names that a sentence lists at most


class _Read:
    """Descriptions of files, by path, size and time of change; a str says why one is refused."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, int, int], StyleInfo | str | None] = {}


class NameTaken(InstantStyleError):
    """A style of this name is there already."""


@dataclass(frozen=True)
class SavedStyle:
    """A style in the library."""

    name: str
    path: Path
    info: StyleInfo


class StyleLibrary:
    """The style files in `folder`, which may be missing; their settings are fields of `table`."""

    def __init__(self, folder: Path, table: Table) -> None:
        self.folder = folder
        self._table = table

    def styles(self) -> list[SavedStyle]:
        """All styles, sorted by name."""
        return [style for style in self._entries() if isinstance(style, SavedStyle)]

    def refused(self) -> list[tuple[str, str]]:
        """Name and sentence of style files that are damaged, or cannot be read or named."""
        return [entry for entry in self._entries() if not isinstance(entry, SavedStyle)]

    def find(self, name: str) -> SavedStyle:
        """The style `name`, in whatever case of letters.

        Raises InstantStyleError that says what is wrong with it, or lists the styles.
        """
        entries = list(self._entries())
        styles = [style for style in entries if isinstance(style, SavedStyle)]
        for style in styles:
            if style.name == name:
                return style
        for style in styles:
            if same_name(style.name) == same_name(name):
                return style
        for entry in entries:
            if not isinstance(entry, SavedStyle) and same_name(entry[0]) == same_name(name):
                raise InstantStyleError(entry[1])
        listed = ", ".join(style.name for style in styles[:_LISTED]) or "none is saved"
        more = f" and {len(styles) - _LISTED} more" if len(styles) > _LISTED else ""
        raise InstantStyleError(
            f"style {shorten(name)} is not among the saved styles ({listed}{more})."
        )

    def made_from(self, digest: str) -> SavedStyle | None:
        """A style made from the one picture whose SHA-256 begins with `digest`."""
        for style in self.styles() if digest else ():
            if len(style.info.references) == 1 and style.info.references[0].startswith(digest):
                return style
        return None

    def free_name(self, name: str, instead_of: SavedStyle | None = None) -> str:
        """`name` as check_name returns it, for a new style or a new name of `instead_of`.

        Raises InstantStyleError if it is not allowed, or some file system would take it for the
        name of another style.
        """
        clean = check_name(name)
        for path in self._paths():
            if same_name(path.stem) == same_name(clean) and not (
                instead_of and path == instead_of.path
            ):
                raise _taken(path.stem)
        return clean

    def path_of(self, name: str) -> Path:
        """The path for a new style; name: as free_name returns it."""
        return self.folder / f"{name}{SUFFIX}"

    def rename(self, name: str, new_name: str) -> SavedStyle:
        """Give the style `name` another name. Raises InstantStyleError."""
        with _NAMING:
            style = self.find(name)
            target = self.path_of(self.free_name(new_name, instead_of=style))
            try:
                if _is_same_file(style.path, target):  # which tells no "a" from "A"
                    style.path.rename(target)
                else:
                    rename_file(style.path, target)
            except FileExistsError:
                raise _taken(target.stem) from None
            except OSError as error:
                raise _refusal("renamed", name, error) from error
            return self.find(target.stem)

    def delete(self, name: str) -> None:
        """Delete the file of the style `name`. Raises InstantStyleError."""
        style = self.find(name)
        try:
            style.path.unlink()
        except OSError as error:
            raise _refusal("deleted", name, error) from error

    def add(self, name: str, create: Callable[[Path], None], done: str) -> SavedStyle:
        """The style `name`, made by `create` at the path it is given.

        create: raises FileExistsError where something is there. done: what a sentence says could
        not be. Raises InstantStyleError for a name that is not free, or no longer.
        """
        with _NAMING:
            clean = self.free_name(name)
            try:
                create(self.path_of(clean))
            except FileExistsError:
                raise _taken(clean) from None
            except OSError as error:
                raise _refusal(done, clean, error) from error
            return self.find(clean)

    def put(self, name: str, write: Callable[[Path], None]) -> SavedStyle:
        """The style `name`, written by `write` in the place of the one of that name, if any.

        write: writes a whole file at once. Raises InstantStyleError.
        """
        with _NAMING:
            clean = check_name(name)
            same = (path for path in self._paths() if same_name(path.stem) == same_name(clean))
            path = next(same, self.path_of(clean))
            try:
                write(path)
            except OSError as error:
                raise _refusal("saved", clean, error) from error
            return self.find(path.stem)

    def take_in(self, data: bytes, name: str) -> SavedStyle:
        """Add the style file `data` under `name`, unchanged.

        Raises InstantStyleError if it is no sound style, or the name is not free.
        """
        clean = self.free_name(name)
        if len(data) > limits.STYLE_BYTES:
            raise InstantStyleError(
                f"{clean} has more than {limits.STYLE_BYTES:,} bytes; a style has fewer."
            )
        with tempfile.TemporaryDirectory() as elsewhere:  # nothing unchecked gets into the folder
            candidate = Path(elsewhere, f"{clean}{SUFFIX}")
            candidate.write_bytes(data)
            if _sound_info(candidate, self._table) is None:
                raise InstantStyleError(f"{clean} is no saved style; choose another file.")
        return self.add(clean, lambda path: create_file(path, data), "added")

    def _paths(self) -> list[Path]:
        sweep(self.folder)
        try:
            found = [path for path in self.folder.iterdir() if path.suffix == SUFFIX]
        except OSError:
            return []
        return sorted(path for path in found if not is_passed_over(path.name))

    def _entries(self) -> Iterator[SavedStyle | tuple[str, str]]:
        taken: set[str] = set()
        for path in sorted(self._paths(), key=lambda path: same_name(path.stem)):
            name, found = shown_name(path.stem), _look(path, self._table)
            if found is None:
                continue
            if name in taken:
                found = (
                    f"{shown_name(path.name)} is there twice, in two spellings that look the "
                    "same; rename one of them."
                )
            taken.add(name)
            yield (name, found) if isinstance(found, str) else SavedStyle(name, path, found)


def library(table: Table) -> StyleLibrary:
    """The library of this WebUI; table: of the fields that settings may have."""
    return StyleLibrary(own_folder() / "styles", table)


def _look(path: Path, table: Table) -> StyleInfo | str | None:
    """What `path` says, or why it is refused; None if it is no style, or has just gone."""
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        known = SESSION.of(_Read).files
        if key not in known:
            known[key] = _read(path, table)
        return known[key]
    except FileNotFoundError:
        if not os.path.lexists(path):
            return None
        why = "is a link to a file that is not there"
    except OSError as error:
        why = f"cannot be read ({reason(error)})"
    except Exception as error:  # one file never ends the list, whatever is wrong with it
        why = f"is no sound style ({type(error).__name__}: {reason(error)}); get it again"
    return printable(f"{path.name} {why}.")


def _read(path: Path, table: Table) -> StyleInfo | str | None:
    try:
        info = _sound_info(path, table)
        if info is not None:
            check_name(path.stem)
    except InstantStyleError as error:
        return str(error)  # the error itself would keep its whole call stack alive
    return info


def _sound_info(path: Path, table: Table) -> StyleInfo | None:
    from lib_instantstyle.styles.header import check_settings, read_info

    info = read_info(path)
    if info is not None:
        check_settings(info, table, path.name)
    return info


def _is_same_file(path: Path, target: Path) -> bool:
    return same_name(path.stem) == same_name(target.stem) and target.exists()


def _taken(name: str) -> NameTaken:
    return NameTaken(
        f"a style named {shorten(name)} is there already; choose another name, or delete it first."
    )


def _refusal(done: str, name: str, error: OSError) -> InstantStyleError:
    return InstantStyleError(f"style {shorten(name)} cannot be {done} ({reason(error)}).")
