"""Tensors read one by one from model files, in the names this package uses, and their range.

They are read, not mapped: a file that is exchanged or cut short while its tensors are in use
changes nothing in them, and what was checked is what is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.files.model_file import open_regular, read_errors, stored_tensors
from lib_instantstyle.files.tensor_info import FLOATING, StoredTensor

_DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16,
    "I32": torch.int32, "I64": torch.int64, "F16": torch.float16, "BF16": torch.bfloat16,
    "F32": torch.float32, "F64": torch.float64, "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
_PIECE = 2**20  # numbers
# Normalisations sum the squares of up to 2^23 numbers: of larger ones not even in 32 bits.
LARGEST = 2.0**52


class TensorReader:
    """An open file; only the tensors asked for are read.

    names: those that may be asked for.
    """

    def __init__(
        self,
        file: BinaryIO,
        path: Path,
        names: Mapping[str, str],
        stored: Mapping[str, StoredTensor],
    ) -> None:
        self.names = names.keys()
        self.bytes_read = 0
        self._file = file
        self._path = path
        self._in_file = names
        self._stored = stored

    def __call__(self, name: str) -> torch.Tensor:
        """The tensor `name` on the CPU, as stored, but in 32 bits at most: nothing uses more.

        Raises InstantStyleError if it is missing, cannot be read, or holds NaN or infinity, or
        what 32 bits cannot hold.
        """
        if name not in self._in_file:
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} is missing; download the file again."
            )
        stored = self._stored[self._in_file[name]]
        one = stored.info.bytes and set(stored.info.shape) <= {1}
        if stored.info.dtype not in (_DTYPES if one else FLOATING):
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} is stored as {stored.info.dtype}; "
                "floating-point numbers are needed."
            )
        tensor = self._read(name, stored)
        if one or tensor.dtype is torch.float64:
            tensor = tensor.float()  # one: such as the alpha of a LoRA, maybe a whole number
        self.bytes_read += stored.info.bytes
        if tensor.element_size() == 1:  # 8-bit floats can be stored and converted, nothing else
            tensor = tensor.to(torch.float16)
        if not _is_finite(tensor):
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} holds values that are no finite numbers; "
                "download the file again."
            )
        return tensor

    def _read(self, name: str, stored: StoredTensor) -> torch.Tensor:
        raw = torch.empty(stored.span, dtype=torch.uint8, device="cpu")
        try:
            self._file.seek(stored.begin)
            got = self._file.readinto(raw.numpy()) if stored.span else 0  # type: ignore[attr-defined]
        except OSError as error:
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} cannot be read ({reason(error)})."
            ) from error
        if got != stored.span:
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} cannot be read (the file has become "
                "shorter); download the file again."
            )
        numbers = raw.view(_DTYPES[stored.info.dtype])
        return numbers.as_strided(stored.info.shape, stored.strides)


def _is_finite(tensor: torch.Tensor) -> bool:
    """Whether all numbers are, without a temporary tensor of the same size.

    The sum says so in all but a few cases: 16-bit numbers may have one that is too large for
    their type, and then they are looked at piece by piece.
    """
    if torch.isfinite(tensor.sum()):
        return True
    flat = tensor.flatten()
    return all(
        bool(torch.isfinite(flat[start : start + _PIECE]).all())
        for start in range(0, len(flat), _PIECE)
    )


def _as_in_file(names: Iterable[str]) -> Mapping[str, str]:
    return {name: name for name in names}


@contextmanager
def open_tensors(
    path: Path, rename: Callable[[Iterable[str]], Mapping[str, str]] = _as_in_file
) -> Iterator[TensorReader]:
    """Open a model file for reading single tensors.

    rename: given the names in the file, name to ask for -> name in the file.
    Raises InstantStyleError if the file cannot be opened.
    """
    try:
        file = open_regular(path)
    except OSError as error:
        raise InstantStyleError(f"{path.name} cannot be opened ({reason(error)}).") from error
    with file:
        with read_errors(path):
            stored = stored_tensors(file, path.name)
        if not stored:
            raise InstantStyleError(f"{path.name} holds no tensors; choose another file.")
        yield TensorReader(file, path, rename(stored), stored)


def fill(module: nn.Module, tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Put `tensors` into `module`, which may stand on the meta device, without a copy.

    Raises InstantStyleError naming `source` if a tensor is missing or has the wrong shape.
    """
    for name, parameter in list(module.named_parameters()):
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != parameter.shape:
            found = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}"
            raise InstantStyleError(
                f"{source}: {name} is {found}; shape {tuple(parameter.shape)} is needed."
            )
        owner, _, attribute = name.rpartition(".")
        # load_state_dict(assign=True) does the same, from torch 2.1 on.
        setattr(module.get_submodule(owner), attribute, nn.Parameter(tensor, requires_grad=False))


def largest_of(*tensors: torch.Tensor) -> float:
    """The largest absolute value; NaN if one of the numbers is. Waits for the device once.

    0 of tensors without numbers: empty ones, and those on the meta device.
    """
    held = [tensor for tensor in tensors if tensor.numel() and not tensor.is_meta]
    ends = [end for tensor in held for end in (tensor.amax(), -tensor.amin())]
    return float(torch.stack(ends).amax()) if ends else 0.0


def check_range(largest: float, source: str, dtype: torch.dtype = torch.float32) -> None:
    """Raise InstantStyleError, naming the file `source`, for what numbers of `dtype` cannot be."""
    limit = min(LARGEST, torch.finfo(dtype).max)
    if not largest <= limit:
        raise InstantStyleError(
            f"{source or 'the file'} leads to numbers of up to {largest:.3g} where up to "
            f"{limit:.3g} are allowed ({str(dtype).removeprefix('torch.')}); choose another file."
        )
