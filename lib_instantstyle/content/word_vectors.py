"""Text vectors of word lists, computed once for each text encoder and kept on disk.

The nouns are suggested as content to remove. The list is our own: everyday things that a reference
may show, in lower case and singular, one word or two, without proper names and brands.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lib_instantstyle.files.own_files import write_file

CAPACITY = 64 * 2**20  # bytes in all; 1,500 words take 3.8 MB
LIST = Path(__file__).parents[1] / "data" / "nouns.txt"


class WordEncoder(Protocol):
    """What is needed of a text encoder here; see TextEmbedder in hosts/__init__.py."""

    @property
    def identity(self) -> str: ...

    @property
    def width(self) -> int: ...

    def vectors(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> torch.Tensor: ...


def word_vectors(
    encoder: WordEncoder,
    texts: Sequence[str],
    folder: Path,
    progress: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Vectors [n, E] of `texts`, float16, on the CPU; read from `folder` if they are there.

    The file is named by a hash of the encoder's identity and the texts. If `folder` cannot be
    written to, the next call computes the vectors again. progress: called with the number of texts
    encoded so far.
    """
    path = _path(encoder, texts, folder)
    kept = _read(path, (len(texts), encoder.width))
    if kept is not None:
        return kept
    vectors = encoder.vectors(texts, progress).half()
    try:
        write_file(path, save({"vectors": vectors.contiguous()}))
        _make_room(folder, keep=path)
    except OSError:
        return vectors
    return vectors


def are_kept(encoder: WordEncoder, texts: Sequence[str], folder: Path) -> bool:
    """Whether `word_vectors` would read the vectors from `folder`, without encoding anything."""
    return _read(_path(encoder, texts, folder), (len(texts), encoder.width)) is not None


@cache
def nouns() -> tuple[str, ...]:
    """About 1,500 nouns, sorted."""
    return tuple(LIST.read_text(encoding="utf-8").split("\n")[:-1])


def caption(noun: str) -> str:
    """The caption to encode for `noun`: CLIP was trained on captions, not on single words.

    It says "picture" and not "photo", because references are often paintings and drawings.
    """
    return f"a picture of {'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _path(encoder: WordEncoder, texts: Sequence[str], folder: Path) -> Path:
    named = "\n".join((encoder.identity, *texts)).encode("utf-8", "backslashreplace")
    return folder / f"words-{hashlib.sha256(named).hexdigest()[:24]}.safetensors"


def _read(path: Path, shape: tuple[int, int]) -> torch.Tensor | None:
    try:
        vectors: torch.Tensor = load(path.read_bytes())["vectors"]
        if vectors.shape != shape or vectors.dtype != torch.float16:
            return None
        os.utime(path)  # the files used longest ago go first
    except (OSError, SafetensorError, KeyError):
        return None
    return vectors


def _make_room(folder: Path, keep: Path) -> None:
    """Delete the files of ours that were used longest ago until the rest fit."""
    ours = sorted(folder.glob("words-*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
    held = sum(path.stat().st_size for path in ours)
    for path in ours:
        if held > CAPACITY and path != keep:
            held -= path.stat().st_size
            path.unlink()
