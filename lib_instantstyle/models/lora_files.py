"""The LoRA files that are there, by name. None is opened: people keep thousands of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.folder import listed_name, model_files, without_suffix

_MAX_DEPTH = 8  # of sub-folders; a link that points upwards must not make the walk endless
_NAMED = 10  # in a sentence


def lora_files(folders: Iterable[Path]) -> Mapping[str, Path]:
    """Name -> file, in the order of the folders; a folder that is missing is passed over.

    A name is the path in its folder without the ending.
    """
    found: dict[str, Path] = {}
    taken: set[str] = set()
    visited: set[Path] = set()
    for folder in folders:
        for path in model_files(folder, _MAX_DEPTH):
            real = path.resolve()
            if real not in visited:
                visited.add(real)
                found[listed_name(path, folder, taken)] = path
    return found


def find_lora(name: str, files: Mapping[str, Path]) -> str:
    """The listed name of the file that `name` means; its folder and its ending may be left out.

    Raises InstantStyleError if there is none, or more than one.
    """
    if not name:
        raise InstantStyleError(f"lora is empty; choose a LoRA file ({_some(files)}).")
    wanted = (name, without_suffix(name))
    for listed, path in files.items():
        if listed in wanted or f"{listed}{path.suffix}" == name:
            return listed
    alike = [listed for listed in files if listed.rpartition("/")[2] in wanted]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise InstantStyleError(f"lora {shorten(name)} may be {' or '.join(alike)}; say which.")
    raise InstantStyleError(f"lora {shorten(name)} is not among the files found ({_some(files)}).")


def _some(files: Mapping[str, Path]) -> str:
    named = ", ".join([*files][:_NAMED]) or "none was found"
    return f"{named} and {len(files) - _NAMED} more" if len(files) > _NAMED else named
