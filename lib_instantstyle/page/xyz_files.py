"""Picture files of this machine, by the paths typed into an axis of the X/Y/Z plot.

Nothing else opens paths that a user names, and no API request does; `may_name_files` in
hosts/xyz_grid.py says who may.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib_instantstyle.errors import InstantStyleError, reason, shorten
from lib_instantstyle.files.folder import is_passed_over, shown_name
from lib_instantstyle.hosts.xyz_grid import may_name_files

MAX_FILES = 256  # of one folder
_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic",
    ".heif", ".hif", ".jxl",
)  # fmt: skip


def pictures_in(p: Any, typed: str) -> Sequence[str]:
    """The path `typed` if it is a picture file, or the picture files in it, sorted, if a folder.

    Raises InstantStyleError if there is none, one cannot be read, or `p` may not name files.
    """
    if not may_name_files(p):
        raise InstantStyleError(
            "files can be named on the page of a WebUI that serves this machine alone; send "
            "pictures in requests."
        )
    try:
        path = Path(typed).expanduser()
        paths = _pictures(path, typed) if path.is_dir() else [str(path)]
    except (OSError, ValueError, RuntimeError) as error:  # a home that nobody has, a zero byte
        if isinstance(error, InstantStyleError):
            raise
        raise _unreadable(typed, reason(error)) from error
    from lib_instantstyle.references.pictures import decode_picture  # Pillow's part

    for one in paths:
        decode_picture(picture_in_file(one), f"file {shown_name(Path(one).name)}")
    return paths


def picture_in_file(path: str) -> str:
    """The file as base64 text; raises InstantStyleError if it cannot be read or is too large."""
    from lib_instantstyle.files.model_file import open_regular
    from lib_instantstyle.limits import PICTURE_BYTES

    try:
        with open_regular(Path(path)) as file:
            data = file.read(PICTURE_BYTES + 1)
    except InstantStyleError as error:  # a pipe or a device would never end
        raise _unreadable(path, "it is not a regular file") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, reason(error)) from error
    if len(data) > PICTURE_BYTES:
        raise InstantStyleError(
            f"the file {_named(path)} has more than {PICTURE_BYTES:,} bytes; choose a smaller one."
        )
    return base64.b64encode(data).decode("ascii")


def _pictures(folder: Path, typed: str) -> Sequence[str]:
    """The pictures in `folder`, by name; what is named like one and cannot be opened counts too.

    Of that the whole axis is refused: a plot that lacks a row would not say so.
    """
    found = [
        str(file)
        for file in folder.iterdir()
        if file.suffix.lower() in _SUFFIXES and not is_passed_over(file.name) and not _is_dir(file)
    ]
    if not 0 < len(found) <= MAX_FILES:
        raise InstantStyleError(
            f"the folder {shorten(typed)} holds {len(found)} pictures; "
            f"1 to {MAX_FILES} are allowed."
        )
    return sorted(found)


def _is_dir(file: Path) -> bool:
    try:
        return file.is_dir()
    except OSError:
        return False


def _named(path: str) -> str:
    return shorten(shown_name(Path(path).name or path))


def _unreadable(path: str, why: str) -> InstantStyleError:
    return InstantStyleError(f"the file {_named(path)} cannot be read ({why}).")
