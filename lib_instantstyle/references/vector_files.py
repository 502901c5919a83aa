"""Image embeds on disk, so that a known reference needs no encoder after a restart either."""

from __future__ import annotations

import hashlib

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lib_instantstyle.files.folder import CACHE_TAG
from lib_instantstyle.files.own_files import BoundedFolder

# https://bford.info/cachedir/: backup programs pass such a folder over, and so does catalog.scan.
_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# Made by InstantStyle; may be deleted.\n"
_EMBEDDING, _CHECK = "embedding", "check"

Key = tuple[object, ...]  # everything that the numbers depend on; hashed by its repr


class EmbeddingFiles:
    """A folder of image embeds, which several processes may use; all of it may be deleted.

    problem: a sentence for the user if the folder cannot be written to, else "".
    """

    def __init__(self, folder: BoundedFolder) -> None:
        self.problem = ""
        self._files = folder

    def get(self, key: Key) -> torch.Tensor | None:
        """The tensor of `key` in float32; None if there is none. A damaged file is deleted."""
        data = self._files.read(_digest(key))
        if data is None:
            return None
        try:
            tensors = load(data)
            embedding: torch.Tensor = tensors[_EMBEDDING]
            if bytes(tensors[_CHECK].tolist()) == _check(key, embedding):
                return embedding.float()
        except (SafetensorError, KeyError, TypeError, ValueError):
            pass
        self._files.remove(_digest(key))
        return None

    def put(self, key: Key, tensor: torch.Tensor) -> None:
        """Write the float32 `tensor` of any shape, in 16 bits if these hold it exactly."""
        half = tensor.half()
        stored = (half if torch.equal(half.float(), tensor) else tensor).contiguous()
        check = torch.tensor(list(_check(key, stored)), dtype=torch.uint8)
        try:
            self._files.write(_digest(key), save({_EMBEDDING: stored, _CHECK: check}))
            tag = self._files.path / CACHE_TAG
            if not tag.exists():
                tag.write_bytes(_TAG)
        except OSError as error:
            self.problem = (
                f"embeddings cannot be kept in {self._files.path} "
                f"({error.strerror}); references are encoded again after a restart."
            )


def _digest(key: Key) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()


def _check(key: Key, tensor: torch.Tensor) -> bytes:
    """A hash of key and content: a power cut may leave a file of the right size full of zeros."""
    return hashlib.sha256(repr(key).encode() + tensor.numpy().tobytes()).digest()
