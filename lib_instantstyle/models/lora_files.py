"""The LoRA files that are there, by name. None is opened: people keep thousands of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.folder import (
    comparable,
    listed_name,
    model_entries,
    without_suffix,
)

_MAX_DEPTH = 8  # of sub-folders; a link that points upwards must not make the walk endless
_NAMED = 10  # in a sentence


class LoraFiles(dict[str, Path]):
    """Name -> file. refused: name -> why it cannot be read, one sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, str] = {}


def lora_files(folders: Iterable[Path]) -> LoraFiles:
    """Name -> file, in the order of the folders; a folder that is missing is passed over.

    A name is the path in its folder without the ending.
    """
    found = LoraFiles()
    taken: set[str] = set()
    visited: set[str] = set()
    for folder in folders:
        for entry in model_entries(folder, _MAX_DEPTH):
            identity = entry.identity
            if identity in visited:
                continue
            visited.add(identity)
            name = listed_name(entry.path, folder, taken)
            if entry.problem:
                found.refused[name] = entry.problem
            else:
                found[name] = entry.path
    return found


def find_lora(name: str, files: Mapping[str, Path]) -> str:
    """The listed name of the file that `name` means; its folder and its ending may be left out.

    Raises InstantStyleError if there is none or more than one, and for one that cannot be read.
    """
    if not name:
        raise InstantStyleError(f"lora is empty; choose a LoRA file ({_some(files)}).")
    refused = files.refused if isinstance(files, LoraFiles) else {}
    spelled, wanted = comparable(name), comparable(without_suffix(name))
    names = [(n, comparable(n), comparable(f"{n}{path.suffix}")) for n, path in files.items()]
    for meant in (spelled, wanted):
        for listed, short, whole in names:
            if meant == short or spelled == whole:
                return listed
    for listed, sentence in refused.items():
        if comparable(listed) in (spelled, wanted):
            raise InstantStyleError(sentence)
    alike = [n for n in files if comparable(n.rpartition("/")[2]) in (spelled, wanted)]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise InstantStyleError(f"lora {shorten(name)} may be {' or '.join(alike)}; say which.")
    for listed, sentence in refused.items():
        if comparable(listed.rpartition("/")[2]) in (spelled, wanted):
            raise InstantStyleError(sentence)
    raise InstantStyleError(f"lora {shorten(name)} is not among the files found ({_some(files)}).")


def _some(files: Mapping[str, Path]) -> str:
    named = ", ".join([*files][:_NAMED]) or "none was found"
    return f"{named} and {len(files) - _NAMED} more" if len(files) > _NAMED else named
