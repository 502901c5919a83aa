"""Every kind of IP-Adapter against diffusers: its image tokens, and the picture a UNet makes."""

import functools
from types import SimpleNamespace

import pytest
import torch
from diffusers.loaders import IPAdapterMixin

from lib_instantstyle.pure.catalog import scan
from lib_instantstyle.pure.rows import NEGATIVE, PROMPT
from lib_instantstyle.tensor.adapter import image_tokens, keys_and_values
from lib_instantstyle.tensor.attention_terms import attention_term
from lib_instantstyle.tensor.injection import Clock
from lib_instantstyle.tensor.plan import Plan, layer_weights
from lib_instantstyle.tensor.unet import find_layers
from tests.engine import inject
from tests.miniature.networks.to_diffusers import diffusers_unet, load_adapters, size_vector
from tests.miniature.networks.unet import SD15_TINY, SDXL_TINY, UNetModel
from tests.unit.adapters import PROJECTIONS, adapter_tensors, as_diffusers, write
from tests.units import parse_unit

CPU = torch.device("cpu")
WIDTH = 48  # of what a projection takes
ROWS = (PROMPT, NEGATIVE, NEGATIVE, PROMPT)
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


def randomised(module, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        scale = 0.3 if parameter.dim() < 2 else 1.0 / parameter[0].numel() ** 0.5
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return module.eval().requires_grad_(False)


class World:
    """One tiny UNet in ldm naming, and one batch of inputs."""

    def __init__(self, config):
        generator = torch.Generator().manual_seed(2)
        self.unet = randomised(UNetModel(config), seed=1)
        self.layers = find_layers(self.unet)
        self.x = torch.randn(4, 4, 8, 8, generator=generator)
        self.t = torch.tensor([500.0] * 4)
        self.context = torch.randn(4, 7, config.context_dim, generator=generator)
        self.y, self.added = None, {}
        if config.adm_in_channels:
            self.added = {
                "text_embeds": torch.randn(4, 256, generator=generator),
                "time_ids": torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]] * 4),
            }
            self.y = size_vector(**self.added)

    def run(self, plan=None):
        clock = Clock(lambda *call: ROWS, lambda: 0.0)
        with inject(self.unet, self.layers, plan or Plan(()), clock):
            return self.unet(self.x, timesteps=self.t, context=self.context, y=self.y)

    @functools.cache  # noqa: B019 - a world lives as long as its tests
    def adapter(self, projection, width=WIDTH):
        """An adapter's tensors, and diffusers' UNet with it."""
        tensors = adapter_tensors(self.layers, width, projection=projection)
        unet = diffusers_unet(self.unet)
        load_adapters(unet, as_diffusers(tensors))
        return tensors, unet

    def run_diffusers(self, unet, scale, reference, zero_image):
        """diffusers' UNet with an adapter, on the same inputs."""
        IPAdapterMixin.set_ip_adapter_scale(SimpleNamespace(unet=unet, unet_name="unet"), scale)
        features = torch.stack([reference if kind == PROMPT else zero_image for kind in ROWS])
        added = {**self.added, "image_embeds": [features[:, None]]}
        return unet(self.x, self.t, self.context, added_cond_kwargs=added).sample

    def plan(self, path, kind, feature, zero_image, unit):
        block_weights = layer_weights(unit, self.layers)
        tokens = image_tokens(path, kind, torch.stack([feature, zero_image]), CPU)
        banks = keys_and_values(path, block_weights, tokens)
        return Plan(
            tuple(
                attention_term(self.layers.by_number[n].layer, block_weight, banks[n], unit, [1.0])
                for n, block_weight in block_weights.items()
            )
        )


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
    from lib_instantstyle.tensor import adapter as module

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
