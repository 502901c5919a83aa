"""The contents of a file that `torch.save` wrote, without torch and without unpickling.

Since torch 1.6 such a file (.bin, .pth, .pt) is a plain zip: `<name>/data.pkl` says what there is,
`<name>/data/<key>` holds the values of one storage. The pickle is read symbolically; one that
names anything but tensors is refused, and so is any size that the zip does not back.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.pure.nested_names import flatten
from lib_instantstyle.pure.symbolic_pickle import (
    MAX_BYTES,
    Call,
    Global,
    Persistent,
    UnreadablePickle,
    read_pickle,
)
from lib_instantstyle.pure.tensor_info import ELEMENT_BYTES, TensorInfo

MAX_DIMENSIONS = 16
_STORAGES = {
    "torch.FloatStorage": "F32", "torch.HalfStorage": "F16", "torch.BFloat16Storage": "BF16",
    "torch.DoubleStorage": "F64", "torch.LongStorage": "I64", "torch.IntStorage": "I32",
    "torch.ShortStorage": "I16", "torch.CharStorage": "I8", "torch.ByteStorage": "U8",
    "torch.BoolStorage": "BOOL", "torch.storage.UntypedStorage": "U8",
}  # fmt: skip
_DTYPES = {  # types without a storage class of their own
    "torch.float8_e4m3fn": "F8_E4M3", "torch.float8_e5m2": "F8_E5M2", "torch.uint16": "U16",
    "torch.uint32": "U32", "torch.uint64": "U64",
}  # fmt: skip
_TENSOR, _TENSOR_OF_TYPE = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"
_PARAMETER, _ORDERED_DICT = "torch._utils._rebuild_parameter", "collections.OrderedDict"
_ALLOWED = {_TENSOR, _TENSOR_OF_TYPE, _PARAMETER, _ORDERED_DICT, *_STORAGES, *_DTYPES}


def read_archive(path: Path) -> Mapping[str, TensorInfo]:
    """Names (of nested dictionaries joined by dots), types and shapes of the tensors in `path`.

    Raises InstantStyleError if the file is damaged or holds something other than tensors, OSError
    if it cannot be read at all.
    """
    try:
        with path.open("rb") as file:
            content, sizes = _open(file)
        found = flatten(read_pickle(content, _Tensors(sizes).resolve))
    except UnreadablePickle as error:
        raise InstantStyleError(
            f"{path.name} cannot be used: {error}; download it again, or convert it to "
            ".safetensors."
        ) from None
    return {name: value for name, value in found.items() if isinstance(value, TensorInfo)}


class _Bounded(io.RawIOBase):
    """A file that refuses to be read in pieces over MAX_BYTES, its list of files among them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = self._size - self._file.tell()
        if size > MAX_BYTES:
            raise UnreadablePickle("its list of files is too long")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def _open(file: BinaryIO) -> tuple[bytes, Mapping[str, int]]:
    """The pickle of an archive, and the bytes of each storage by its key."""
    bounded: Any = _Bounded(file)
    try:
        with zipfile.ZipFile(bounded) as archive:
            entries = archive.infolist()
            pickles = [e for e in entries if e.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise UnreadablePickle("it is a zip file, but none that torch.save wrote")
            prefix = pickles[0].filename.removesuffix("data.pkl")
            if any(e.filename == f"{prefix}constants.pkl" for e in entries):
                raise UnreadablePickle("it is a TorchScript program, not a table of tensors")
            if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
                raise UnreadablePickle("it is a compressed zip file, which torch.save never writes")
            if pickles[0].file_size > MAX_BYTES:
                raise UnreadablePickle("its table of contents is too long")
            data = f"{prefix}data/"
            sizes = {
                e.filename.removeprefix(data): e.file_size
                for e in entries
                if e.filename.startswith(data)
            }
            return archive.read(pickles[0]), sizes
    except UnreadablePickle:
        raise
    except (zipfile.BadZipFile, struct.error, EOFError, OSError, ValueError, RuntimeError):
        # What zipfile raises on a zip that lies: an OSError is a place before the file's beginning.
        raise UnreadablePickle("it is damaged or not complete") from None


class _Tensors:
    """Turns what a pickle names into TensorInfo, believing no size the archive does not back."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes

    def resolve(self, found: Global | Call | Persistent) -> object:
        if isinstance(found, Persistent):
            return self._storage(found.id)
        if isinstance(found, Global):
            if found.name not in _ALLOWED:
                raise UnreadablePickle(
                    f"it names {shorten(found.name)}, which is no tensor (nothing of it was run)"
                )
            return found
        arguments: tuple[Any, ...] = found.arguments
        if found.name == _ORDERED_DICT and not arguments:
            return {}
        if found.name == _PARAMETER and isinstance(arguments[0], TensorInfo):
            return arguments[0]
        if found.name in (_TENSOR, _TENSOR_OF_TYPE):
            storage, offset, shape, strides, *rest = arguments
            dtype = rest[2] if found.name == _TENSOR_OF_TYPE else None
            return self._tensor(storage, offset, shape, strides, dtype)
        raise TypeError

    def _storage(self, identity: Any) -> tuple[str, int]:
        """Type and bytes of a storage."""
        kind, storage, key, _, _ = identity
        if kind != "storage" or not isinstance(storage, Global) or not isinstance(key, str):
            raise TypeError
        return _STORAGES[storage.name], self._sizes[key]

    def _tensor(
        self, storage: Any, offset: Any, shape: Any, strides: Any, dtype: object
    ) -> TensorInfo:
        stored_type, stored_bytes = storage
        if isinstance(dtype, Global):
            stored_type = _DTYPES[dtype.name]
        numbers = [offset, *shape, *strides]
        if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
            raise ValueError
        if any(not isinstance(n, int) or isinstance(n, bool) or n < 0 for n in numbers):
            raise ValueError
        count = math.prod(shape)
        width = ELEMENT_BYTES[stored_type]
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides)) if count else 0
        # A stride of zero would make a tensor of any size out of one number.
        if max(last + 1, count) * width > stored_bytes and count:
            raise UnreadablePickle("it claims tensors that are larger than what it stores")
        return TensorInfo(stored_type, tuple(shape), count * width)
