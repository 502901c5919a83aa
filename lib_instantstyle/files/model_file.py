"""What a model file contains, whichever format it is in: its first bytes say, not its ending."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.files.safetensors_header import Header, header_of
from lib_instantstyle.files.tensor_info import StoredTensor, TensorInfo
from lib_instantstyle.files.torch_archive import archive_of

_ZIP, _PICKLE = b"PK", b"\x80"
# Opening a pipe without the first would wait until somebody writes to it.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> BinaryIO:
    """`path`, open for reading.

    Raises InstantStyleError if it is no regular file (a pipe, a socket, a device, a folder),
    OSError if it cannot be opened at all.
    """
    number = os.open(path, _FLAGS | getattr(os, "O_CLOEXEC", 0))
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise InstantStyleError(f"{path.name} is not a regular file; choose another one.")
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn an OSError in this block into a sentence that names `path`, less its folder."""
    try:
        yield
    except OSError as error:
        raise InstantStyleError(f"{path.name} cannot be read ({reason(error)}).") from error


def read_header(path: Path) -> Header:
    """Read and check the header of `path`; raises as `header_of` does, OSError if it has none."""
    with open_regular(path) as file:
        return header_of(file, path.name)


def read_tensors(path: Path) -> Mapping[str, TensorInfo]:
    """Names, types and shapes of the tensors in `path`; raises as `stored_tensors` does."""
    with open_regular(path) as file:
        stored = stored_tensors(file, path.name)
    return {name: tensor.info for name, tensor in stored.items()}


def read_metadata(path: Path) -> Mapping[str, str]:
    """What a .safetensors file says beside its tensors; nothing in other files."""
    with open_regular(path) as file:
        if _is_torch(file, path.name):
            return {}
        return header_of(file, path.name).metadata


def stored_tensors(file: BinaryIO, file_name: str) -> Mapping[str, StoredTensor]:
    """The tensors of an open file, and where they lie in it; `file_name` is for sentences.

    Raises InstantStyleError for a damaged file or one of another kind, OSError if it cannot be
    read at all.
    """
    if _is_torch(file, file_name):
        return archive_of(file, file_name)
    return header_of(file, file_name).stored


def _is_torch(file: BinaryIO, file_name: str) -> bool:
    """Whether torch.save wrote it; otherwise it is a .safetensors file, or refused."""
    file.seek(0)
    start = file.read(9)
    if start.startswith(_ZIP):
        return True
    if start[8:] == b"{" or file_name.endswith(".safetensors"):
        return False
    if start.startswith(_PICKLE):
        raise InstantStyleError(
            f"{file_name} is in the format of torch before 1.6, which cannot be looked into "
            "without running it; convert it to .safetensors."
        )
    raise InstantStyleError(
        f"{file_name} is neither a .safetensors file nor one that torch.save wrote; "
        "download it again."
    )
