"""Picture files of this machine, by the paths typed into an axis of the X/Y/Z plot.

Nothing else opens paths that a user names, and no API request does; `may_name_files` in
hosts/xyz_grid.py says who may.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.hosts.xyz_grid import may_name_files

MAX_FILES = 256  # of one folder
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


def pictures_in(p: Any, typed: str) -> Sequence[str]:
    """The path `typed` if it is a picture file, or the picture files in it, sorted, if a folder.

    Raises InstantStyleError if there is none, one cannot be read, or `p` may not name files.
    """
    if not may_name_files(p):
        raise InstantStyleError(
            "files can be named on the page of a WebUI that serves this machine alone; send "
            "pictures in requests."
        )
    path = Path(typed).expanduser()
    try:
        if path.is_dir():
            found = [f for f in path.iterdir() if f.suffix.lower() in _SUFFIXES and f.is_file()]
            if not 0 < len(found) <= MAX_FILES:
                raise InstantStyleError(
                    f"the folder {shorten(typed)} holds {len(found)} pictures; "
                    f"1 to {MAX_FILES} are allowed."
                )
            paths = sorted(map(str, found))
        else:
            paths = [str(path)]
    except OSError as error:
        raise _unreadable(typed, error) from error
    from lib_instantstyle.references.pictures import decode_picture  # Pillow's part

    for one in paths:
        decode_picture(read_picture(one), f"file {Path(one).name}")
    return paths


def read_picture(path: str) -> str:
    """The file as base64 text; raises InstantStyleError if it cannot be read or is too large."""
    from lib_instantstyle.limits import PICTURE_BYTES

    file = Path(path)
    try:
        if not file.is_file():  # a pipe or a device would never end
            raise FileNotFoundError(2, "No such file")
        if file.stat().st_size > PICTURE_BYTES:
            raise InstantStyleError(
                f"the file {shorten(path)} has more than {PICTURE_BYTES:,} bytes; "
                "choose a smaller one."
            )
        return base64.b64encode(file.read_bytes()).decode("ascii")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> InstantStyleError:
    return InstantStyleError(f"the file {shorten(path)} cannot be read ({error.strerror}).")
