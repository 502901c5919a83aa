"""The account of what is on the device, and making room on it.

Forge knows how much is free by asking the device. Here the device is the processor, so `capacity`
says how much there is, and `outside` how much of it others than the account have taken.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

cpu = torch.device("cpu")
INFERENCE = 1024 * 1024  # bytes kept free for working, 1 GB in the real thing


def module_size(module: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in module.parameters())


class LoadedModel:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.device = model.load_device

    def __eq__(self, other) -> bool:
        return self.model is other.model

    __hash__ = None


class Account:
    """The state and the functions of the module that each flavour makes of it."""

    def __init__(self) -> None:
        self.current_loaded_models: list[LoadedModel] = []
        self.capacity = 64 * 2**30
        self.outside = 0
        self.log: list[tuple] = []
        """For tests, what was done: free how much, load and unload what, empty the cache."""

    def get_torch_device(self) -> torch.device:
        return cpu

    def get_free_memory(self, dev=None, torch_free_too: bool = False):
        used = sum(module_size(x.model.model) for x in self.current_loaded_models) + self.outside
        free = self.capacity - used
        return (free, free) if torch_free_too else free

    def minimum_inference_memory(self) -> int:
        return INFERENCE

    def free_memory(self, memory_required, device, keep_loaded=()) -> None:
        """Unloads models, those not used for longest first, until so much is free."""
        self.log.append(("free", int(memory_required)))
        for i in range(len(self.current_loaded_models) - 1, -1, -1):
            if self.get_free_memory(device) > memory_required:
                break
            if self.current_loaded_models[i] not in keep_loaded:
                gone = self.current_loaded_models.pop(i)
                self.log.append(("unload", type(gone.model.model).__name__))

    def load_models_gpu(self, models, memory_required=0, hard_memory_preservation=0) -> None:
        needed = max(INFERENCE, memory_required) + hard_memory_preservation
        loaded = []
        for patcher in models:
            entry = LoadedModel(patcher)
            # A clone of what is loaded takes its place: the module is the same.
            here = [x for x in self.current_loaded_models if patcher.is_clone(x.model)]
            if here:
                self.current_loaded_models = [
                    x for x in self.current_loaded_models if x not in here
                ]
            else:
                self.free_memory(module_size(patcher.model) * 1.3 + needed, entry.device, loaded)
                self.log.append(("load", type(patcher.model).__name__))
            self.current_loaded_models.insert(0, entry)
            loaded.append(entry)

    def unload_model_clones(self, model) -> None:
        """Forgets a model, which stays where it is."""
        self.current_loaded_models = [
            x for x in self.current_loaded_models if not model.is_clone(x.model)
        ]

    def load_model_gpu(self, model) -> None:
        self.load_models_gpu([model])

    def unload_all_models(self) -> None:
        self.free_memory(1e30, cpu)

    def soft_empty_cache(self, force: bool = False) -> None:
        self.log.append(("empty",))


def publish(names: dict) -> Account:
    """A new account, and its functions as those of a module."""
    account = Account()
    for name in dir(Account):
        if not name.startswith("_"):
            names[name] = getattr(account, name)
    names["__getattr__"] = lambda name: getattr(account, name)
    return account
