"""The contents of a file that `torch.save` wrote, without torch and without unpickling.

Since torch 1.6 such a file (.bin, .pth, .pt) is a plain zip: `<name>/data.pkl` lists the tensors,
`<name>/data/<key>` holds the values of one storage. The pickle is read symbolically; one that
names anything but tensors is refused, and so is any size that the zip does not back. The tensors
are read at the places found here (files/tensors.py): a second reader of the same file, such as
torch.load, may find another pickle in it. Before torch 2.6 that one takes a file with
`constants.pkl`, in letters of any case and under the first of several folders, for a TorchScript
program and runs it, whatever `weights_only` says.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.nested_names import flatten
from lib_instantstyle.files.pickle_reader import (
    Call,
    Global,
    Persistent,
    UnreadablePickle,
    read_pickle,
)
from lib_instantstyle.files.tensor_info import (
    ELEMENT_BYTES,
    StoredTensor,
    TensorInfo,
)

_LOCAL = struct.Struct("<4s5H3I2H")  # what stands before the bytes of each entry
_ENCRYPTED, _SIZES_FOLLOW, _IN_EXTRA = 1, 8, 0xFFFFFFFF
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


def archive_of(file: BinaryIO, file_name: str) -> Mapping[str, StoredTensor]:
    """The tensors of an open file by their names, those of nested dictionaries joined by dots.

    file_name: for sentences. Raises InstantStyleError if the file is damaged or holds something
    other than tensors, OSError if it cannot be read at all.
    """
    try:
        content, storages = _open(file)
        found = flatten(read_pickle(content, _Tensors(storages).resolve))
        tensors = {n: value for n, value in found.items() if isinstance(value, StoredTensor)}
        claimed = sum(tensor.info.bytes for tensor in tensors.values())
        if claimed > limits.TIMES_STORED * sum(storage.size for storage in storages.values()):
            raise UnreadablePickle("all its tensors together are larger than what it stores")
    except UnreadablePickle as error:
        raise InstantStyleError(
            f"{file_name} cannot be used: {error}; download it again, or convert it to "
            ".safetensors."
        ) from None
    return tensors


@dataclass(frozen=True)
class _Storage:
    """Where the bytes of one storage lie in the file."""

    begin: int
    size: int


class _Bounded(io.RawIOBase):
    """A file that refuses to be read in pieces over limits.PICKLE_BYTES, its list of files too."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = self._size - self._file.tell()
        if size > limits.PICKLE_BYTES:
            raise UnreadablePickle("its list of files is too long")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def _open(file: BinaryIO) -> tuple[bytes, Mapping[str, _Storage]]:
    """The pickle of an archive, and its storages by their keys."""
    bounded: Any = _Bounded(file)
    try:
        with zipfile.ZipFile(bounded) as archive:
            entries = archive.infolist()
            top = _top_folder(entries)
            places = {entry.filename: _place(file, entry) for entry in entries}
            _check_overlap(places.values())
            table = archive.getinfo(f"{top}data.pkl")
            if table.file_size > limits.PICKLE_BYTES:
                raise UnreadablePickle("its table of contents is too long")
            order = f"{top}byteorder"
            if order in places and _bytes_at(file, places[order], 16) != b"little":
                raise UnreadablePickle("its numbers are not stored in little-endian order")
            data = f"{top}data/"
            storages = {
                name.removeprefix(data): place
                for name, place in places.items()
                if name.startswith(data)
            }
            return archive.read(table), storages
    except UnreadablePickle:
        raise
    except (zipfile.BadZipFile, struct.error, EOFError, OSError, ValueError, RuntimeError):
        # What zipfile raises on a zip that lies: an OSError is a place before the file's beginning.
        raise UnreadablePickle("it is damaged or not complete") from None


def _top_folder(entries: list[zipfile.ZipInfo]) -> str:
    """The one folder, with its slash, that holds everything in a file that torch.save wrote."""
    names = [entry.filename for entry in entries]
    if any(name.lower().rpartition("/")[2] == "constants.pkl" for name in names):
        raise UnreadablePickle("it is a TorchScript program, not a table of tensors")
    top = names[0].partition("/")[0] + "/" if names else ""
    if f"{top}data.pkl" not in names or not all(name.startswith(top) for name in names):
        raise UnreadablePickle("it is a zip file, but none that torch.save wrote")
    if len({name.casefold() for name in names}) != len(names):
        # Which one of them is meant, readers of zip files see differently.
        raise UnreadablePickle("it is a zip file with one name twice")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UnreadablePickle("it is a compressed zip file, which torch.save never writes")
    return top


def _place(file: BinaryIO, entry: zipfile.ZipInfo) -> _Storage:
    """Where the bytes of `entry` lie, from the header before them, which must say the same."""
    file.seek(entry.header_offset)
    header = file.read(_LOCAL.size)
    mark, _, flags, method, _, _, _, packed, size, name_length, extra = _LOCAL.unpack(header)
    name = file.read(name_length)
    encoding = "utf-8" if flags & 0x800 else "cp437"
    sizes = {packed, size} - {entry.file_size}
    if (
        mark != b"PK\3\4"
        or name.decode(encoding) != entry.orig_filename
        or entry.orig_filename != entry.filename
        or method != zipfile.ZIP_STORED
        or (flags | entry.flag_bits) & _ENCRYPTED
        or entry.file_size != entry.compress_size
        or (sizes and not flags & _SIZES_FOLLOW and sizes != {_IN_EXTRA})
    ):
        raise zipfile.BadZipFile
    place = _Storage(file.tell() + extra, entry.file_size)
    if place.begin + place.size > os.fstat(file.fileno()).st_size:
        raise zipfile.BadZipFile
    return place


def _check_overlap(places: Iterable[_Storage]) -> None:
    position = 0
    for place in sorted(places, key=lambda place: (place.begin, place.size)):
        if place.begin < position:
            raise UnreadablePickle("it stores two things in the same place")
        position = place.begin + place.size


def _bytes_at(file: BinaryIO, place: _Storage, limit: int) -> bytes:
    file.seek(place.begin)
    return file.read(min(place.size, limit))


class _Tensors:
    """Turns what a pickle names into StoredTensor, believing no size the archive does not back."""

    def __init__(self, storages: Mapping[str, _Storage]) -> None:
        self._storages = storages

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
        if len(arguments) > limits.CALL_ARGUMENTS:
            raise TypeError
        if found.name == _ORDERED_DICT and not arguments:
            return {}
        if found.name == _PARAMETER and isinstance(arguments[0], StoredTensor):
            return arguments[0]
        if found.name in (_TENSOR, _TENSOR_OF_TYPE):
            storage, offset, shape, strides, *rest = arguments
            dtype = rest[2] if found.name == _TENSOR_OF_TYPE else None
            return self._tensor(storage, offset, shape, strides, dtype)
        raise TypeError

    def _storage(self, identity: Any) -> tuple[str, _Storage]:
        """Type and place of a storage."""
        kind, storage, key, _, _ = identity
        if kind != "storage" or not isinstance(storage, Global) or not isinstance(key, str):
            raise TypeError
        return _STORAGES[storage.name], self._storages[key]

    def _tensor(
        self, storage: Any, offset: Any, shape: Any, strides: Any, dtype: object
    ) -> StoredTensor:
        stored_type, place = storage
        if isinstance(dtype, Global):
            stored_type = _DTYPES[dtype.name]
        if len(shape) != len(strides) or len(shape) > limits.DIMENSIONS:
            raise ValueError
        numbers = [offset, *shape, *strides]
        if any(not isinstance(n, int) or isinstance(n, bool) or n < 0 for n in numbers):
            raise ValueError
        count = math.prod(shape)
        width = ELEMENT_BYTES[stored_type]
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides)) if count else 0
        # A stride of zero would make a tensor of any size out of one number.
        if max(last + 1, count) * width > place.size and count:
            raise UnreadablePickle("it claims tensors that are larger than what it stores")
        info = TensorInfo(stored_type, tuple(shape), count * width)
        return StoredTensor(info, place.begin + offset * width, tuple(strides))
