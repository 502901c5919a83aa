"""Tensors read one by one from .safetensors files, in the names this package uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from lib_instantstyle.pure.errors import InstantStyleError


class TensorReader:
    """An open file; only the tensors asked for are read."""

    def __init__(self, path: Path, handle: Any) -> None:
        self._path = path
        self._handle = handle
        self.bytes_read = 0

    def __call__(self, name: str) -> torch.Tensor:
        """The tensor `name`, as stored, on the CPU.

        Raises InstantStyleError if it is missing, cannot be read, or holds NaN or infinity.
        """
        try:
            tensor: torch.Tensor = self._handle.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} cannot be read ({error})."
            ) from error
        if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
            raise InstantStyleError(
                f"{self._path.name}: the tensor {name} holds values that are no finite numbers; "
                "download the file again."
            )
        self.bytes_read += tensor.numel() * tensor.element_size()
        return tensor


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorReader]:
    """Open a .safetensors file for reading single tensors."""
    try:
        with safe_open(str(path), framework="pt", device="cpu") as handle:
            yield TensorReader(path, handle)
    except (SafetensorError, OSError) as error:
        raise InstantStyleError(f"{path.name} cannot be opened ({error}).") from error


def fill(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Put `tensors` into `module`, which may stand on the meta device, without a copy.

    Raises InstantStyleError naming `source` if a tensor is missing or has the wrong shape.
    """
    for name, parameter in module.named_parameters():
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != parameter.shape:
            found = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}"
            raise InstantStyleError(
                f"{source}: {name} is {found}; shape {tuple(parameter.shape)} is needed."
            )
    module.load_state_dict(dict(tensors), strict=True, assign=True)
    module.requires_grad_(False)
