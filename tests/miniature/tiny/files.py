"""Writes files whole or not at all, and only where their content would change."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

_DTYPES = {torch.float16: "F16", torch.float32: "F32", torch.int64: "I64"}


def write_atomic(path: Path, data: bytes) -> Path:
    """A reader sees the old file or the new one, never a part: other processes may be waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write unless the same text is there already."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return path
    return write_atomic(path, text.encode())


def safetensors_bytes(state: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A .safetensors file: the length of the header, the header as JSON, the tensors.

    The library's own writer orders the metadata differently from run to run.
    """
    header: dict[str, object] = {"__metadata__": metadata}
    blobs = []
    offset = 0
    # Widest type first keeps every tensor aligned to its element size.
    for key, tensor in sorted(state.items(), key=lambda item: (-item[1].element_size(), item[0])):
        blob = tensor.contiguous().numpy().tobytes()
        header[key] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *blobs])


def write_safetensors(path: Path, state: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    return write_atomic(path, safetensors_bytes(state, metadata))


def is_complete(path: Path, metadata: dict[str, str]) -> bool:
    """Whether a readable file with this metadata, or more, is there; a torn one is not."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return metadata.items() <= (file.metadata() or {}).items()
    except (OSError, SafetensorError):
        return False
