"""A UNet whose self-attention has one layer for queries, keys and values."""

import pytest
from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.self_attention import self_attention_hooks
from tests.unit.self_attention_world import World, hooks_of


def test_it_is_refused_by_a_sentence_and_nothing_is_left():
    world = World("sdxl", side=8)
    layers = world.layers
    fused = layers[-1].module
    fused.to_qkv, before = nn.Linear(4, 12), fused.to_k
    del fused.to_k
    with (
        pytest.raises(InstantStyleError, match=r"has no to_k of its own .*use an IP-Adapter"),
        self_attention_hooks(world.unet, layers),
    ):
        pass
    assert hooks_of(world.unet) == 0
    fused.to_k = before
    del fused.to_qkv
    with self_attention_hooks(world.unet, layers):
        pass
