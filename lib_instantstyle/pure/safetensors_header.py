"""The header of a .safetensors file, read and checked without touching its tensors.

Names, types and shapes are all it takes to say what a model file is, so files can be listed and
chosen without loading torch. The checks make a file from a stranger harmless: no size in the
header is believed before it was compared with the file itself.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.tensor_info import ELEMENT_BYTES, TensorInfo

MAX_HEADER_BYTES = 16 * 1024 * 1024  # stock full checkpoints stay under 1 MB


@dataclass(frozen=True)
class Header:
    """What a .safetensors file holds."""

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    bytes: int  # of the header itself, its length field included


def read_header(path: Path) -> Header:
    """Read and check the header of `path`.

    Raises InstantStyleError if the file is not a sound .safetensors file, OSError if it cannot be
    read at all.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        if len(start) < 8:
            raise _broken(path, "it is shorter than a header")
        (length,) = struct.unpack("<Q", start)
        if length > min(MAX_HEADER_BYTES, size - 8):
            raise _broken(path, f"its header claims {length} bytes of a file of {size}")
        text = file.read(length)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise _broken(path, "its header cannot be read") from None
    if not isinstance(content, dict):
        raise _broken(path, "its header is not a table of tensors")
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise _broken(path, "its metadata is not a table")
    tensors = {name: _tensor(path, name, entry) for name, entry in content.items()}
    _check_ranges(path, size - 8 - length, [span for _, span in tensors.values()])
    return Header(
        {name: tensor for name, (tensor, _) in tensors.items()},
        {str(k): str(v) for k, v in metadata.items()},
        8 + length,
    )


def _tensor(path: Path, name: str, entry: object) -> tuple[TensorInfo, tuple[int, int]]:
    try:
        dtype = entry["dtype"]  # type: ignore[index]
        shape = entry["shape"]  # type: ignore[index]
        begin, end = entry["data_offsets"]  # type: ignore[index]
        numbers = [*shape, begin, end]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
            raise ValueError
        expected = math.prod(shape) * ELEMENT_BYTES[dtype]
    except (KeyError, TypeError, ValueError):
        raise _broken(path, f"its entry {name[:80]!r} is malformed") from None
    if end - begin != expected:
        raise _broken(path, f"its entry {name[:80]!r} has the wrong size")
    return TensorInfo(dtype, tuple(shape), expected), (begin, end)


def _check_ranges(path: Path, size: int, spans: list[tuple[int, int]]) -> None:
    position = 0
    for begin, end in sorted(spans):
        if begin < position:
            raise _broken(path, "its tensors overlap")
        position = end
    if position > size:
        raise _broken(path, "it ends before its tensors do")


def _broken(path: Path, reason: str) -> InstantStyleError:
    return InstantStyleError(
        f"{path.name} is not a sound .safetensors file: {reason}; download it again."
    )
