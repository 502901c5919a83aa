"""What a model file's header says of one tensor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib_instantstyle.limits import LAYERS

# Bytes of one element, by the names that .safetensors headers use.
ELEMENT_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2,
    "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
FLOATING = {"F8_E4M3", "F8_E5M2", "F16", "BF16", "F32", "F64"}


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file, and where its numbers lie."""

    info: TensorInfo
    begin: int  # byte of the file at which its first element begins
    strides: tuple[int, ...]  # in elements

    @property
    def span(self) -> int:
        """How many bytes of the file, from `begin` on, its elements lie in."""
        if 0 in self.info.shape:
            return 0
        last = sum((n - 1) * step for n, step in zip(self.info.shape, self.strides))
        return (last + 1) * ELEMENT_BYTES[self.info.dtype]


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of a tensor whose elements lie one after the other."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


Tensors = Mapping[str, TensorInfo]


def shape_of(tensors: Tensors, name: str, dimensions: int) -> tuple[int, ...] | None:
    """The shape of `name` if it is there and has that many dimensions, none of them empty."""
    tensor = tensors.get(name)
    if tensor is None or len(tensor.shape) != dimensions or 0 in tensor.shape:
        return None
    return tensor.shape


def count_layers(tensors: Tensors, layer: re.Pattern[str]) -> int:
    """How many layers the names speak of, `layer` capturing the number; 0 if one is left out.

    A layer with a single tensor left counts, so that what it lacks is missed when it is loaded.
    0, too, where there are more than any model has.
    """
    numbers = {int(found[1]) for name in tensors if (found := layer.match(name))}
    is_sound = len(numbers) <= LAYERS and numbers == set(range(len(numbers)))
    return len(numbers) if is_sound else 0
