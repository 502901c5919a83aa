"""Who manages the memory of the device that encoders run on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError


class Entry(Protocol):
    """An encoder that the WebUI counts among what is on its device, and may move off it."""

    def bring_back(self) -> None:
        """See to it that all of the encoder is on the device, and counted, before it runs."""

    def take_out(self) -> None:
        """Count it no longer: its memory is free as soon as nobody holds the encoder."""


class DeviceMemory(Protocol):
    """The WebUI, as far as it manages memory."""

    def make_room(self, size: int) -> None:
        """See to it that `size` bytes are free on the device, for an encoder about to be loaded."""

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


# What to do when the device has no memory left for an encoder.

CPU = torch.device("cpu")
DeviceCall = Callable[[torch.device, torch.dtype], torch.Tensor]


def or_on_cpu(
    run: DeviceCall,
    device: torch.device,
    dtype: torch.dtype,
    what: str,
    notify: Callable[[str], None],
) -> torch.Tensor:
    """`run(device, dtype)`, once more on the CPU in float32 if the device has no memory left.

    what: the encoder, as a sentence calls it. notify: called with a sentence where the CPU is used.
    Raises InstantStyleError where the CPU has no memory left either.
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
