"""The layers of a checkpoint that is not loaded: those of its UNet, read off names and shapes."""

import pytest

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensor_info import TensorInfo
from lib_instantstyle.unet.layers import find_layers, layers_in_file
from tests.unit.unets import diffusers_unet


def as_file(unet, prefix):
    return {
        f"{prefix}{name}": TensorInfo("F16", tuple(tensor.shape), 2 * tensor.numel())
        for name, tensor in unet.state_dict().items()
    }


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", ""])
@pytest.mark.parametrize("name", ["sdxl", "sd15"])
def test_a_file_says_the_same_as_its_unet(name, prefix):
    unet = diffusers_unet(name)
    live = find_layers(unet)
    read = layers_in_file(as_file(unet, prefix))
    assert read.signature == live.signature
    assert [c.layer for c in read.by_number.values()] == [c.layer for c in live.by_number.values()]


def test_a_file_without_such_a_unet_is_refused():
    text_encoder = {"model.encoder.layers.0.attn.to_q.weight": TensorInfo("F16", (8, 8), 128)}
    for tensors in ({}, text_encoder):
        with pytest.raises(InstantStyleError, match=r"SD1\.5 or SDXL"):
            layers_in_file(tensors)
