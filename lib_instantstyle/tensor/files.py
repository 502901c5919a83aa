"""Tensors read one by one from model files, in the names this package uses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.pure.model_file import TORCH, file_format
from lib_instantstyle.pure.nested_names import flatten

# Not torch.load: WebUIs replace that name by a wrapper of their own, which may be told by a flag
# to run what a pickle says, and answers None for a file it refuses.
_load_torch_file = torch.serialization.load
_CAN_MAP = "mmap" in inspect.signature(_load_torch_file).parameters  # torch 2.1

_PIECE = 2**20  # numbers


class TensorReader:
    """An open file; only the tensors asked for are read.

    names: those that may be asked for.
    """

    def __init__(
        self, path: Path, names: Mapping[str, str], get: Callable[[str], torch.Tensor]
    ) -> None:
        self.names = names.keys()
        self.bytes_read = 0
        self._path = path
        self._in_file = names
        self._get = get

    def __call__(self, name: str) -> torch.Tensor:
        """The tensor `name`, as stored, on the CPU; of a mapped file a view.

        Raises InstantStyleError if it is missing, cannot be read, or holds NaN or infinity.
        """
        if name not in self._in_file:
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} is missing; download the file again."
            )
        try:
            tensor = self._get(self._in_file[name])
        except (SafetensorError, OSError) as error:
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} cannot be read ({error})."
            ) from error
        if tensor.numel() == 1:  # such as the alpha of a LoRA, which may be a whole number
            tensor = tensor.float()
        if not tensor.is_floating_point():
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} is stored as {tensor.dtype}; "
                "floating-point numbers are needed."
            )
        self.bytes_read += tensor.numel() * tensor.element_size()
        if tensor.element_size() == 1:  # 8-bit floats can be stored and converted, nothing else
            tensor = tensor.to(torch.float16)
        if not _is_finite(tensor):
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} holds values that are no finite numbers; "
                "download the file again."
            )
        return tensor


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

    rename: given the names in the file, name to ask for -> name in the file. .safetensors files
    are mapped into memory, and so are those of torch.save from torch 2.1 on.
    Raises InstantStyleError if the file cannot be opened.
    """
    try:
        if file_format(path) == TORCH:
            tensors = _tensors_of(path)
            yield TensorReader(path, rename(tensors), tensors.__getitem__)
        else:
            with safe_open(str(path), framework="pt", device="cpu") as handle:
                yield TensorReader(path, rename(handle.keys()), handle.get_tensor)
    except (SafetensorError, OSError) as error:
        raise InstantStyleError(f"{path.name} cannot be opened ({error}).") from error


def _tensors_of(path: Path) -> Mapping[str, torch.Tensor]:
    """Every tensor of a file that torch.save wrote; nothing in it is run."""
    try:
        if _CAN_MAP and path.suffix != ".safetensors":
            content = _load_torch_file(str(path), map_location="cpu", weights_only=True, mmap=True)
        else:  # torch trusts that ending of a name and would not find what it promises
            with path.open("rb") as file:
                content = _load_torch_file(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's readers raise anything from EOFError to UnpicklingError
        raise InstantStyleError(
            f"{path.name} cannot be read ({shorten(str(error), 80)}); download it again, or "
            "convert it to .safetensors."
        ) from error
    found = flatten(content)
    tensors = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise InstantStyleError(f"{path.name} holds no tensors; choose another file.")
    return tensors


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
