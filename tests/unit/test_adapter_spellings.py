"""One adapter under the names of a UNet's attention processors does what the released file does."""

import pytest
import torch

from lib_instantstyle.layout import SD15, SDXL
from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.models.catalog import scan
from tests.miniature.networks.unet import SD15_TINY, SDXL_TINY
from tests.unit.adapter_world import CPU, WIDTH, World
from tests.unit.adapters import PROJECTIONS, adapter_tensors, write
from tests.unit.unets import unet_like


def features(projection):
    shape = (2, WIDTH) if projection == "linear" else (2, 257, WIDTH)
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def spelled(tensors, layout, start="unet.", ldm=False, index="", projection="image_proj_model."):
    """Layers as a UNet's attention processors, the projection as training scripts call it."""
    found = {}
    for name, tensor in tensors.items():
        if name.startswith("ip_adapter."):
            _, number, end, _ = name.split(".")
            layer = layout.by_number[int(number)]
            path = layer.ldm if ldm else layer.diffusers
            found[f"{start}{path}.processor.{end}{index}.weight"] = tensor
        else:
            found[name.replace("image_proj.", projection)] = tensor
    return found


def beside_a_unet(tensors, layout):
    others = {f"unet.{layer.diffusers}.to_k.weight": torch.zeros(2) for layer in layout.layers}
    others |= {"unet.conv_in.weight": torch.zeros(4, 4), "text_model.x": torch.zeros(3)}
    return spelled(tensors, layout) | others


def half_and_half(tensors, layout):
    """Of two names for one tensor, a file may keep now the one, now the other."""
    released = {
        name.replace("ip_adapter.", "adapter_modules."): tensor
        for name, tensor in tensors.items()
        if name.startswith("ip_adapter.")
    }
    named = {**spelled(tensors, layout)}
    for i, (name, tensor) in enumerate(released.items()):
        if i % 2:
            _, number, end, _ = name.split(".")
            del named[f"unet.{layout.by_number[int(number)].diffusers}.processor.{end}.weight"]
            named[name] = tensor
    return named


SPELLINGS = {
    "unet.": spelled,
    "no prefix": lambda tensors, layout: spelled(tensors, layout, ""),
    "two prefixes": lambda tensors, layout: spelled(tensors, layout, "module.unet."),
    "ldm's names": lambda tensors, layout: spelled(
        tensors, layout, "model.diffusion_model.", ldm=True
    ),
    "a list of one": lambda tensors, layout: spelled(tensors, layout, index=".0"),
    "a released projection": lambda t, layout: spelled(t, layout, projection="image_proj."),
    "beside a UNet": beside_a_unet,
    "half and half": half_and_half,
}


@pytest.fixture(scope="module", params=[SDXL_TINY, SD15_TINY], ids=["sdxl", "sd15"])
def world(request):
    return World(request.param)


def numbers_of(path, adapter, projection):
    """Tokens, keys and values of all layers."""
    tokens = image_tokens(path, adapter.kind, features(projection), CPU)
    return tokens, keys_and_values(path, sorted(adapter.kind.layer_widths), tokens)


def check_same(a, b):
    assert torch.equal(a[0], b[0])
    assert a[1].keys() == b[1].keys()
    for number, pair in a[1].items():
        assert all(torch.equal(x, y) for x, y in zip(pair, b[1][number], strict=True))


@torch.no_grad()
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("projection", list(PROJECTIONS))
@pytest.mark.parametrize("ending", [".safetensors", ".bin"])
def test_the_same_terms(world, projection, spelling, ending, tmp_path):
    tensors = adapter_tensors(world.layers, WIDTH, projection=projection)
    layout = world.layers.layout
    released = write(tmp_path / "one" / "a.safetensors", tensors)
    other = write(tmp_path / "two" / f"b{ending}", SPELLINGS[spelling](tensors, layout))
    catalog = scan([tmp_path / "one", tmp_path / "two"])
    assert catalog.refused == ()
    known, found = catalog.adapters
    assert found.kind == known.kind and found.kind.layout is layout
    check_same(numbers_of(released, known, projection), numbers_of(other, found, projection))


@torch.no_grad()
@pytest.mark.parametrize("projection", list(PROJECTIONS))
def test_a_unet_that_diffusers_saved_with_an_adapter_in_it(world, projection, tmp_path):
    tensors, unet = world.adapter(projection)
    released = write(tmp_path / "one" / "a.safetensors", tensors)
    state = {name: tensor.contiguous() for name, tensor in unet.state_dict().items()}
    other = write(tmp_path / "two" / "b.safetensors", state)
    catalog = scan([tmp_path / "one", tmp_path / "two"])
    if projection == "plus":
        ((name, sentence),) = catalog.refused
        assert name == "b" and "is a UNet of diffusers with an IP-Adapter in it" in sentence
        return
    known, found = catalog.adapters
    assert found.kind == known.kind
    check_same(numbers_of(released, known, projection), numbers_of(other, found, projection))


def test_some_layers_are_enough_where_they_are_those_of_one_family(tmp_path):
    tensors = adapter_tensors(unet_like(SDXL))
    style = SDXL.blocks[6].diffusers
    some = {n: t for n, t in spelled(tensors, SDXL).items() if "attn2" not in n or style in n}
    write(tmp_path / "a.safetensors", some)
    (found,) = scan([tmp_path]).adapters
    assert {SDXL.by_number[n].block.diffusers for n in found.kind.layer_widths} == {style}


def shared_blocks(tensors):
    """Layers whose names both families have, with different numbers."""
    kept = "up_blocks.1.attentions.0.transformer_blocks.0"
    return {n: t for n, t in spelled(tensors, SDXL).items() if "attn2" not in n or kept in n}


REFUSED = {
    "which family it is": (shared_blocks, "are not those of one of SD1.5 and SDXL alone"),
    "another network": (
        lambda t: {n.replace("up_blocks.0", "up_blocks.7"): x for n, x in spelled(t, SDXL).items()},
        "are not those of one of SD1.5 and SDXL alone",
    ),
    "two adapters": (
        lambda t: {
            name: tensor.clone()
            for index in (".0", ".1")
            for name, tensor in spelled(t, SDXL, index=index).items()
        },
        "there are several of them",
    ),
    "no layers": (
        lambda t: {n: x for n, x in spelled(t, SDXL).items() if "attn2" not in n},
        "holds the image projection of an IP-Adapter and none of its layers",
    ),
    "no projection": (
        lambda t: {n: x for n, x in spelled(t, SDXL).items() if "attn2" in n},
        "is an IP-Adapter of an unknown kind",
    ),
    "a value is missing": (
        lambda t: {
            n: x
            for n, x in spelled(t, SDXL).items()
            if not n.endswith(f"{SDXL.layers[3].diffusers}.processor.to_v_ip.weight")
        },
        "whose key is of shape (8, 16) and whose value is missing",
    ),
    "a face": (
        lambda t: (
            spelled(t, SDXL)
            | {
                f"unet.{SDXL.layers[0].diffusers}.processor.to_q_lora.down.weight": torch.zeros(
                    4, 8
                )
            }
        ),
        "is a FaceID adapter",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_mapped_is_refused_by_what_it_is(tmp_path, case):
    make, sentence = REFUSED[case]
    write(tmp_path / "a.safetensors", make(adapter_tensors(unet_like(SDXL))))
    catalog = scan([tmp_path])
    assert catalog.adapters == ()
    ((name, refused),) = catalog.refused
    assert name == "a" and refused.startswith("a.safetensors ") and sentence in refused


def test_a_lora_of_attention_processors_is_no_adapter(tmp_path):
    layer = SD15.layers[0].diffusers
    tensors = {
        f"unet.{layer}.processor.to_q_lora.{end}.weight": torch.zeros(4, 8)
        for end in ("down", "up")
    }
    write(tmp_path / "a.safetensors", tensors)
    catalog = scan([tmp_path])
    assert catalog.adapters == () and catalog.refused == ()
