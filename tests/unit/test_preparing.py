"""From a unit to keys and values, through every file on the way, against both oracles at once."""

import pytest
import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import context
from lib_instantstyle.layout import SD15, SDXL
from lib_instantstyle.units.values import Reference
from tests.miniature.networks.to_diffusers import diffusers_unet, load_adapters
from tests.miniature.networks.unet import SD15_TINY
from tests.unit.adapter_world import World
from tests.unit.adapters import adapter_tensors, as_diffusers, write
from tests.unit.image_encoders import ENCODERS, hugging_face_encoder, hugging_face_tensors
from tests.unit.image_processor import CLIPImageProcessor
from tests.unit.pictures import reference
from tests.unit.unets import unet_like
from tests.unit.webui_host import Host, prepared
from tests.units import Unit


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr(context, "model_folders", lambda: [tmp_path])
    write(tmp_path / "clip.pth", hugging_face_tensors(hugging_face_encoder("H")))
    return tmp_path


@pytest.mark.parametrize("projection", ["linear", "plus", "full-face"])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_keys_and_values_equal_both_libraries_end_to_end(projection, suffix, models):
    world = World(SD15_TINY)
    width, _, _, vector, _ = ENCODERS["H"]
    takes = vector if projection == "linear" else width
    tensors = adapter_tensors(world.layers, takes, projection=projection)
    write(
        models / f"adapter{suffix}", tensors if suffix == ".safetensors" else as_diffusers(tensors)
    )
    image, text = reference()
    found = prepared([Unit(image=(Reference(text),))], world.layers, Host())

    pixels = CLIPImageProcessor()(image, return_tensors="pt")["pixel_values"]
    network = hugging_face_encoder("H")
    unet = diffusers_unet(world.unet)
    load_adapters(unet, as_diffusers(tensors))
    (oracle,) = unet.encoder_hid_proj.image_projection_layers
    with torch.no_grad():
        both = network(torch.cat([pixels, torch.zeros_like(pixels)]), output_hidden_states=True)
        if projection == "linear":
            features = torch.stack([both.image_embeds[0], torch.zeros(vector)])
        else:
            features = both.hidden_states[-2]
        tokens = oracle(features)
    assert [term.layer.number for term in found.plan.terms] == [13, 15, 17]
    for term in found.plan.terms:
        for bank, end in ((term.key, "to_k_ip"), (term.value, "to_v_ip")):
            weight = tensors[f"ip_adapter.{term.layer.number}.{end}.weight"]
            torch.testing.assert_close(bank, tokens @ weight.T, atol=2e-5, rtol=1e-5)
    assert found.notes == []
    assert "adapter: adapter" in found.infotext["InstantStyle 1"]


def test_muted_layers_are_named_to_the_user(models):
    sdxl = unet_like(SDXL)
    tensors = {
        name: tensor
        for name, tensor in adapter_tensors(sdxl, ENCODERS["H"][3]).items()
        if name.startswith("image_proj") or int(name.split(".")[1]) in (29, 31, *range(69, 88))
    }
    write(models / "some.safetensors", tensors)
    image = (Reference(reference()[1]),)
    found = prepared([Unit(image=image, preset="style+layout"), Unit(image=image)], sdxl, Host())
    assert found.notes == [
        "adapter some holds nothing for down_blocks.2.attentions.1 "
        "(8 of 10 layers); this part stays without style.",
    ]
    numbers = [term.layer.number for term in found.plan.terms]
    assert numbers == [29, 31, *range(69, 88, 2), *range(69, 88, 2)]


def test_a_unit_all_of_whose_layers_are_missing_is_refused(models):
    sd15 = unet_like(SD15)
    tensors = {
        name: tensor
        for name, tensor in adapter_tensors(sd15, ENCODERS["H"][3]).items()
        if name.startswith("image_proj") or int(name.split(".")[1]) == 1
    }
    write(models / "some.safetensors", tensors)
    _, text = reference()
    with pytest.raises(InstantStyleError) as caught:
        prepared([Unit(image=(Reference(text),), adapter="some")], sd15, Host())
    assert str(caught.value) == (
        "unit 1: adapter some holds none of the layers that the unit selects (it holds "
        "down_blocks.0.attentions.0); choose another adapter, or other blocks."
    )
