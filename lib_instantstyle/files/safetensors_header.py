"""The header of a .safetensors file, read and checked without touching its tensors.

Names, types and shapes are all it takes to say what a model file is, so files can be listed and
chosen without loading torch. The checks make a file from a stranger harmless: no size in the
header is believed before it was compared with the file itself. The tensors are read at the places
that this header gives (files/tensors.py), so that no second reader can understand it otherwise.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.files.tensor_info import (
    ELEMENT_BYTES,
    StoredTensor,
    TensorInfo,
    contiguous,
)


@dataclass(frozen=True)
class Header:
    """What a .safetensors file holds."""

    stored: Mapping[str, StoredTensor]
    metadata: Mapping[str, str]
    bytes: int  # of the header itself, its length field included

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Names, types and shapes alone."""
        return {name: tensor.info for name, tensor in self.stored.items()}


def header_of(file: BinaryIO, file_name: str) -> Header:
    """Read and check the header of an open file; `file_name` is for sentences.

    Raises InstantStyleError if the file is not a sound .safetensors file, OSError if it cannot be
    read at all.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    start = file.read(8)
    if len(start) < 8:
        raise _broken(file_name, "it is shorter than a header")
    (length,) = struct.unpack("<Q", start)
    if length > min(limits.HEADER_BYTES, size - 8):
        raise _broken(file_name, f"its header claims {length} bytes of a file of {size}")
    text = file.read(length)
    try:
        content = read_json(text.decode(), _table)
    except _TwiceError as error:
        raise _broken(file_name, f"its header names {error} twice") from None
    except UnicodeDecodeError:
        raise _broken(file_name, "its header cannot be read (it is not UTF-8)") from None
    except UnreadableJson as error:
        raise _broken(file_name, f"its header cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise _broken(file_name, "its header is not a table of tensors")
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise _broken(file_name, "its metadata is not a table")
    if any(len(name) > limits.TENSOR_NAME for name in content):
        raise _broken(file_name, f"it has a name of more than {limits.TENSOR_NAME} characters")
    stored = {name: _tensor(file_name, name, entry, 8 + length) for name, entry in content.items()}
    _check_ranges(file_name, size, [(t.begin, t.begin + t.info.bytes) for t in stored.values()])
    return Header(stored, {str(k): str(v) for k, v in metadata.items()}, 8 + length)


class _TwiceError(ValueError):
    """A table has two entries of one name: which of them counts, readers may see differently."""


def _table(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table: dict[str, object] = {}
    for name, value in pairs:
        if name in table:
            raise _TwiceError(shorten(name, 80))
        table[name] = value
    return table


def _tensor(file_name: str, name: str, entry: object, start: int) -> StoredTensor:
    try:
        dtype = entry["dtype"]  # type: ignore[index]
        shape = entry["shape"]  # type: ignore[index]
        begin, end = entry["data_offsets"]  # type: ignore[index]
        if not isinstance(shape, list) or len(shape) > limits.DIMENSIONS:
            raise ValueError
        numbers = [*shape, begin, end]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
            raise ValueError
        expected = math.prod(shape) * ELEMENT_BYTES[dtype]
    except (KeyError, TypeError, ValueError):
        raise _broken(file_name, f"its entry {shorten(name, 80)} is malformed") from None
    if end - begin != expected:
        raise _broken(file_name, f"its entry {shorten(name, 80)} has the wrong size")
    info = TensorInfo(dtype, tuple(shape), expected)
    return StoredTensor(info, start + begin, contiguous(shape))


def _check_ranges(file_name: str, size: int, spans: list[tuple[int, int]]) -> None:
    position = 0
    for begin, end in sorted(spans):
        if begin < position:
            raise _broken(file_name, "its tensors overlap")
        position = end
    if position > size:
        raise _broken(file_name, "it ends before its tensors do")


def _broken(file_name: str, reason: str) -> InstantStyleError:
    return InstantStyleError(
        f"{file_name} is not a sound .safetensors file: {reason}; download it again."
    )
