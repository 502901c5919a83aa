"""What a model file contains, whichever format it is in: its first bytes say, not its ending."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.safetensors_header import read_header
from lib_instantstyle.pure.tensor_info import TensorInfo
from lib_instantstyle.pure.torch_archive import read_archive

SAFETENSORS, TORCH = "safetensors", "torch"
_ZIP, _PICKLE = b"PK", b"\x80"


def file_format(path: Path) -> str:
    """SAFETENSORS or TORCH.

    Raises InstantStyleError for a file of another kind, OSError if it cannot be read at all.
    """
    with path.open("rb") as file:
        start = file.read(9)
    if start.startswith(_ZIP):
        return TORCH
    if start[8:] == b"{" or path.suffix == ".safetensors":
        return SAFETENSORS
    if start.startswith(_PICKLE):
        raise InstantStyleError(
            f"{path.name} is in the format of torch before 1.6, which cannot be looked into "
            "without running it; convert it to .safetensors."
        )
    raise InstantStyleError(
        f"{path.name} is neither a .safetensors file nor one that torch.save wrote; "
        "download it again."
    )


def read_tensors(path: Path) -> Mapping[str, TensorInfo]:
    """Names, types and shapes of the tensors in `path`; raises as `file_format` does."""
    return read_archive(path) if file_format(path) == TORCH else read_header(path).tensors


def read_metadata(path: Path) -> Mapping[str, str]:
    """What a .safetensors file says beside its tensors; nothing in other files."""
    return {} if file_format(path) == TORCH else read_header(path).metadata
