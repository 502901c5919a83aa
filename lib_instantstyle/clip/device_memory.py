"""Memory of the device that encoders run on: who manages it, and what to do if none is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError


class Entry(Protocol):
    """The entry of an encoder in the WebUI's memory management, which may move it to the CPU."""

    def bring_back(self) -> None:
        """Move all of the encoder back to the device, before it runs."""

    def take_out(self) -> None:
        """Remove the entry; the memory is free when the last reference to the encoder is gone."""


class DeviceMemory(Protocol):
    """The WebUI's memory management."""

    def make_room(self, size: int) -> None:
        """Free `size` bytes on the device for an encoder that is loaded next."""

    def enter(self, encoder: nn.Module, device: torch.device) -> Entry:
        """An entry for `encoder`, which was just loaded on `device`."""


class Uncounted:
    """See Entry; for an encoder that nobody but its holder moves."""

    def bring_back(self) -> None:
        """Do nothing: no one moves this encoder off its device."""

    def take_out(self) -> None:
        """Do nothing: this encoder was never counted."""


class Unmanaged:
    """See DeviceMemory, where nobody manages it."""

    def make_room(self, size: int) -> None:
        """Do nothing: PyTorch allocates on demand, and reports where memory is short."""

    def enter(self, encoder: nn.Module, device: torch.device) -> Entry:
        return Uncounted()


UNMANAGED = Unmanaged()


CPU = torch.device("cpu")
DeviceCall = Callable[[torch.device, torch.dtype], torch.Tensor]


def or_on_cpu(
    run: DeviceCall,
    device: torch.device,
    dtype: torch.dtype,
    what: str,
    notify: Callable[[str], None],
) -> torch.Tensor:
    """`run(device, dtype)`; if the device has no memory left, once more on the CPU in float32.

    what: the name of the encoder in sentences. notify: called with a sentence if the CPU is used.
    Raises InstantStyleError if the CPU has no memory left either.
    """
    try:
        return run(device, dtype)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
    # Out of the handler, whose traceback would keep alive what is to be let go.
    if device.type == "cpu":
        raise InstantStyleError(f"there is not enough memory for {what}.")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    notify(f"{device} has not enough memory for {what}; it ran on the CPU, which takes longer.")
    return or_on_cpu(run, CPU, torch.float32, what, notify)


def _is_out_of_memory(error: BaseException) -> bool:
    """Some devices raise a plain RuntimeError for it."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or (
        "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower()
    )
