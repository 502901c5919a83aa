"""Every kind of IP-Adapter against diffusers: its image tokens, and the picture a UNet makes."""

import pytest
import torch

from lib_instantstyle.methods.ip_adapter.projections import image_tokens
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.unet.plan import layer_weights
from tests.miniature.networks.unet import SD15_TINY, SDXL_TINY
from tests.unit.adapter_world import CPU, WIDTH, World
from tests.unit.adapters import PROJECTIONS, adapter_tensors, as_diffusers, write
from tests.units import parse_unit

FORMATS = {  # file name, how the tensors stand in it
    "safetensors": ("a.safetensors", lambda tensors: tensors),
    "bin": ("a.bin", as_diffusers),
    "training": (
        "pytorch_model.bin",
        lambda tensors: (
            {
                name.replace("image_proj.", "image_proj_model.").replace(
                    "ip_adapter.", "adapter_modules."
                ): tensor
                for name, tensor in tensors.items()
            }
            | {"unet.conv_in.weight": torch.zeros(4, 4)}
        ),
    ),
    "mixed bin": (
        "a.pt",
        lambda tensors: {
            "image_proj": as_diffusers(tensors)["image_proj"],
            "adapter_modules": as_diffusers(tensors)["ip_adapter"],
        },
    ),
}


@pytest.fixture(scope="module", params=[SDXL_TINY, SD15_TINY], ids=["sdxl", "sd15"])
def world(request):
    return World(request.param)


@pytest.fixture(scope="module")
def sd15():
    return World(SD15_TINY)


def features(projection):
    """A reference's feature and the zero image's, as the kind of adapter takes them."""
    generator = torch.Generator().manual_seed(3)
    if projection == "linear":
        return torch.randn(WIDTH, generator=generator), torch.zeros(WIDTH)
    reference, zero_image = torch.randn(2, 257, WIDTH, generator=generator)
    return reference, zero_image


@pytest.mark.parametrize("projection", list(PROJECTIONS))
@pytest.mark.parametrize("file_format", list(FORMATS))
def test_pictures_equal_diffusers(world, projection, file_format, tmp_path):
    tensors, unet = world.adapter(projection)
    name, arrange = FORMATS[file_format]
    path = write(tmp_path / name, arrange(tensors))
    (adapter,) = scan([tmp_path]).adapters
    reference, zero_image = features(projection)
    # One preset per format: presets and formats do not know of one another.
    preset, scale = {
        "safetensors": ("original", 1.0),
        "bin": ("style", _style_scale(world)),
        "training": ("original", 0.6),
        "mixed bin": ("style", _style_scale(world)),
    }[file_format]
    unit = parse_unit({"preset": preset, "weight": scale if isinstance(scale, float) else 1.0})
    with torch.no_grad():
        ours = world.run(world.plan(path, adapter.kind, reference, zero_image, unit))
        theirs = world.run_diffusers(unet, scale, reference, zero_image)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
        plain = world.run()
    for row in range(4):  # a term was added to prompt rows and to negative rows
        assert (ours - plain)[row].abs().max() > 1e-3


def test_a_style_only_file_is_the_whole_one_with_the_rest_muted(world, tmp_path):
    tensors, unet = world.adapter("plus")
    unit = parse_unit({"preset": "style"})
    kept = layer_weights(unit, world.layers)
    part = {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith("image_proj") or int(name.split(".")[1]) in kept
    }
    path = write(tmp_path / "a.bin", as_diffusers(part))
    (adapter,) = scan([tmp_path]).adapters
    assert set(adapter.kind.layer_widths) == set(kept) and adapter.kind.layout is None
    reference, zero_image = features("plus")
    with torch.no_grad():
        ours = world.run(world.plan(path, adapter.kind, reference, zero_image, unit))
        theirs = world.run_diffusers(unet, _style_scale(world), reference, zero_image)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def _style_scale(world):
    sdxl = world.layers.layout.id == "sdxl"
    return {"up": {"block_0": [0.0, 1.0, 0.0]}} if sdxl else {"up": {"block_1": 1.0}}


@pytest.mark.parametrize("projection", list(PROJECTIONS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_tokens_equal_diffusers(sd15, projection, dtype, tmp_path):
    tensors, unet = sd15.adapter(projection)
    stored = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    path = write(tmp_path / "a.safetensors", stored)
    (adapter,) = scan([tmp_path]).adapters
    reference, zero_image = features(projection)
    (oracle,) = unet.encoder_hid_proj.image_projection_layers
    with torch.no_grad():
        theirs = oracle(torch.stack([reference, zero_image]))
        ours = image_tokens(path, adapter.kind, torch.stack([reference, zero_image]), CPU)
    assert ours.shape == theirs.shape and ours.dtype == torch.float32
    assert (ours[0] - ours[1]).abs().max() > 0.1
    if dtype == torch.float32:
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    else:
        assert (ours - theirs).norm() / theirs.norm() < 2e-2


def test_bytes_read_are_the_projection_and_the_selected_layers(tmp_path, monkeypatch):
    from lib_instantstyle.methods.ip_adapter import projections as module

    world = World(SDXL_TINY)
    tensors = adapter_tensors(world.layers, WIDTH, projection="plus", dtype=torch.float16)
    readers = []
    real = module.open_tensors

    class Recorded:
        def __init__(self, *arguments):
            self.context = real(*arguments)

        def __enter__(self):
            readers.append(self.context.__enter__())
            return readers[-1]

        def __exit__(self, *error):
            return self.context.__exit__(*error)

    monkeypatch.setattr(module, "open_tensors", Recorded)
    for name in ("a.safetensors", "a.bin"):
        readers.clear()
        path = write(tmp_path / name / name, tensors)
        (adapter,) = scan([tmp_path / name]).adapters
        reference, zero_image = features("plus")
        with torch.no_grad():
            world.plan(path, adapter.kind, reference, zero_image, parse_unit({"preset": "style"}))
        expected = sum(
            tensor.numel() * 2
            for key, tensor in tensors.items()
            if key.startswith("image_proj.") or int(key.split(".")[1]) in range(69, 88)
        )
        assert sum(reader.bytes_read for reader in readers) == expected
