"""The encoder in the Forge family's list of models, as its branches differ."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lib_instantstyle.hosts import forge_memory

CPU = torch.device("cpu")


class NeoPatcher:
    """As in Forge Neo 2.26: it overwrites the model's device."""

    def __init__(self, model, load_device, offload_device, size=0, *, current_device=None):
        self.model = model
        model.device = current_device


@pytest.fixture
def memory(monkeypatch):
    freed = []
    found = SimpleNamespace(free_memory=lambda size, device: freed.append(size), freed=freed)
    monkeypatch.setattr(forge_memory, "_memory_management", lambda: found)
    monkeypatch.setattr(forge_memory, "_patcher_class", lambda: NeoPatcher)
    return found


def test_a_loaded_encoder_stays_known_as_loaded(memory):
    entry = forge_memory.CountedEntry(nn.Linear(3, 5), CPU)
    counted = entry._patcher.model
    assert counted.device == CPU
    assert counted.model_loaded_weight_memory == (3 * 5 + 5) * 4


@pytest.mark.parametrize(("has", "expected"), [(True, 1700), (False, 700)])
def test_room_is_made_with_and_without_a_minimum(memory, has, expected):
    """ersatzForge has no minimum_inference_memory."""
    if has:
        memory.minimum_inference_memory = lambda: 1000
    forge_memory.free_memory(700, CPU)
    assert memory.freed == [expected]
