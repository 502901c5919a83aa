"""The model files in a folder and how they are called, without a look into any of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

SUFFIXES = (".safetensors", ".bin", ".pth", ".pt")
MAX_DEPTH = 3  # of sub-folders; a link that points upwards must not make the scan endless
CACHE_TAG = "CACHEDIR.TAG"  # https://bford.info/cachedir/: in folders that hold no models


def listed_name(path: Path, folder: Path, taken: set[str]) -> str:
    """The path in its folder without its ending, or as much more as it takes to be the only one.

    Of two files that differ in their ending only, the second keeps it. taken: names that are
    given already; gets this one.
    """
    whole = path.relative_to(folder).as_posix()
    short = without_suffix(whole)
    candidates = (short, whole, f"{short} ({folder.name})", f"{whole} ({folder.name})")
    name = next((name for name in candidates if name not in taken), path.as_posix())
    taken |= {name, whole}
    return name


def without_suffix(name: str) -> str:
    """A file's name less the ending of a model file."""
    return next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)


def model_files(folder: Path, max_depth: int = MAX_DEPTH) -> Sequence[Path]:
    """Model files under `folder`, by name; of equal names .safetensors first."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        if len(Path(parent).relative_to(folder).parts) >= max_depth:
            folders.clear()
        if CACHE_TAG in names:
            folders.clear()
            continue
        folders.sort()
        models = [name for name in names if name.endswith(SUFFIXES)]
        models.sort(key=lambda name: (without_suffix(name), not name.endswith(SUFFIXES[0]), name))
        found += [Path(parent, name) for name in models]
    return found
