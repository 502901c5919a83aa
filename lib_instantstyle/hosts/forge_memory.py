"""The account that Forge, reForge and Forge Classic keep of what is on the device.

It is a list of models. How much memory is free they ask the device, so nothing has to be reported
there; but to make room they can move off only what is in the list. An encoder that stays on the
device for the next picture and is not in it would be memory that the WebUI has lost.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class CountedEncoder(nn.Module):
    """What stands in the list for an encoder.

    The WebUIs hang things on a model that point back at it. The encoder itself is in no such
    circle, so its memory is free at once when it is let go of, not when Python next looks.
    """

    def __init__(self, encoder: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.encoder: nn.Module | None = encoder
        # By these reForge knows that a model has been loaded already.
        self.device = device
        self.model_loaded_weight_memory = sum(
            parameter.numel() * parameter.element_size() for parameter in encoder.parameters()
        )


class CountedEntry:
    """See Entry in clip/device_memory.py."""

    def __init__(self, encoder: nn.Module, device: torch.device) -> None:
        self._device = device
        self._counted = CountedEncoder(encoder, device)
        self._patcher = _patcher_class()(self._counted, device, torch.device("cpu"))

    def bring_back(self) -> None:
        load_model(self._patcher)
        # Where memory is short, a WebUI leaves parts behind that its own layers fetch when called.
        self._counted.to(self._device)

    def take_out(self) -> None:
        # reForge holds the patcher weakly, and forgets what is gone.
        forget = getattr(_memory_management(), "unload_model_clones", None)
        if forget is not None and self._patcher is not None:
            forget(self._patcher)
        self._patcher = None
        self._counted.encoder = None


@torch.inference_mode()
def free_memory(size: int, device: torch.device) -> None:
    """Move models off `device` until `size` bytes and what a generation needs are free."""
    memory = _memory_management()
    memory.free_memory(size + memory.minimum_inference_memory(), device)


@torch.inference_mode()
def load_model(patcher: Any) -> None:
    """Bring a model in the WebUI's wrapper to its device, and into the list."""
    _memory_management().load_models_gpu([patcher])


def _memory_management() -> Any:
    """The WebUI's module with the list."""
    try:
        from backend import memory_management
    except ImportError:
        from ldm_patched.modules import model_management as memory_management
    return memory_management


def _patcher_class() -> Any:
    """What the WebUI wraps around every model in the list."""
    try:
        from backend.patcher.base import ModelPatcher
    except ImportError:
        from ldm_patched.modules.model_patcher import ModelPatcher
    return ModelPatcher
