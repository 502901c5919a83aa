"""The list that the WebUIs of the Forge family keep of the models on the device.

They ask the device how much memory is free, but to make room they can move off only the models in
the list. An encoder that stays on the device for the next picture has to be in it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class CountedEncoder(nn.Module):
    """The entry in the list that holds an encoder.

    The WebUIs set attributes on a model that refer back to it. The encoder itself is in no such
    reference cycle, so its memory is free as soon as it is released, without garbage collection.
    """

    def __init__(self, encoder: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.encoder: nn.Module | None = encoder
        # By these attributes reForge recognises a model that is loaded already.
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
        # Neo's patcher overwrites it with None, and then counts the encoder as not loaded.
        self._counted.device = device

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
    needed = getattr(memory, "minimum_inference_memory", None)  # ersatzForge has none
    memory.free_memory(size + (needed() if needed else 0), device)


@torch.inference_mode()
def load_model(patcher: Any) -> None:
    """Move the model that `patcher` wraps to its device, and put it into the list."""
    _memory_management().load_models_gpu([patcher])


def _memory_management() -> Any:
    """The WebUI's module that has the list."""
    try:
        from backend import memory_management
    except ImportError:
        from ldm_patched.modules import model_management as memory_management
    return memory_management


def _patcher_class() -> Any:
    """The class that the WebUI wraps around every model in the list."""
    try:
        from backend.patcher.base import ModelPatcher
    except ImportError:
        from ldm_patched.modules.model_patcher import ModelPatcher
    return ModelPatcher
