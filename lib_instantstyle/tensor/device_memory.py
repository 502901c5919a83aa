"""Who manages the memory of the device that encoders run on."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn


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
