"""Numbers that the file holds and the computation cannot: the file is named, no picture is made."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.files.own_files import BoundedFolder
from lib_instantstyle.files.tensors import LARGEST, check_range, largest_of, open_tensors
from lib_instantstyle.methods.b_lora.files import read_terms
from lib_instantstyle.methods.b_lora.layers import lora_halves
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.references.vectors import EmbeddingFiles, ImageEmbeds
from lib_instantstyle.references.views import reference_input
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.plan import Plan, When
from lib_instantstyle.units.presets import BlockWeight
from tests.engine import inject
from tests.unit import loras
from tests.unit.adapters import write
from tests.unit.copies import copy_of
from tests.unit.image_encoders import hugging_face_encoder, hugging_face_tensors
from tests.unit.injection_world import ROWS, World
from tests.units import Unit

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World("sdxl", tmp_path_factory.mktemp("world"))


def test_the_largest_number_is_found_whatever_its_sign():
    assert largest_of(torch.tensor([1.0, -3.0]), torch.zeros(0)) == 3.0
    assert largest_of() == 0.0
    assert largest_of(torch.tensor([1.0, float("nan")])) != 1.0
    assert largest_of(torch.tensor([-float("inf")])) == float("inf")


@pytest.mark.parametrize(
    ("number", "dtype", "allowed"),
    [
        (LARGEST, torch.float32, True),
        (LARGEST * 2, torch.float32, False),
        (LARGEST, torch.bfloat16, True),
        (65504.0, torch.float16, True),
        (65536.0, torch.float16, False),
        (float("nan"), torch.float32, False),
        (float("inf"), torch.bfloat16, False),
    ],
)
def test_what_is_allowed_depends_on_the_type(number, dtype, allowed):
    if allowed:
        check_range(number, "a.bin", dtype)
        return
    with pytest.raises(InstantStyleError, match=r"^a\.bin leads to numbers of up to .*float"):
        check_range(number, "a.bin", dtype)


@pytest.mark.parametrize("number", [1e39, 1e300, -1e300])
def test_what_32_bits_cannot_hold_is_refused_as_it_is_read(tmp_path, number):
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.tensor([[1.0, number]], dtype=torch.float64)}, path)
    with open_tensors(path) as read, pytest.raises(InstantStyleError, match=r"a\.safetensors: "):
        read("x")
    save_file({"x": torch.tensor([[1.0, 1e38]], dtype=torch.float64)}, path)
    with open_tensors(path) as read:
        assert read("x").dtype is torch.float32


@pytest.mark.parametrize("which", ["key", "value", "weight"])
def test_a_unet_in_half_precision_refuses_what_only_32_bits_hold(world, which):
    plan = world.plan(Unit(preset="original"))
    term = plan.terms[-1]
    weight, bank = BlockWeight(term.weight), {"key": term.key, "value": term.value}
    factor = 1e5 / float(bank["key" if which == "key" else "value"].abs().max())
    if which == "weight":
        weight = BlockWeight(factor)
    else:
        bank[which] = bank[which] * factor
    term = attention_term(term.layer, weight, (bank["key"], bank["value"]), Unit(), [1.0])
    assert term.largest == pytest.approx(1e5)
    plan = Plan((*plan.terms[:-1], replace(term, source="large.bin")))
    clock = Clock(lambda call: ROWS[0], lambda: 0.0)
    with inject(world.unet, world.layers, plan, clock):
        world.run()  # in 32 bits
    half = copy_of(world.unet).to(torch.float16)
    y = world.y if world.y is None else world.y.half()
    with (
        inject(half, find_layers(half), plan, clock),
        pytest.raises(InstantStyleError, match=r"^large\.bin leads to numbers .*float16"),
    ):
        half(world.x.half(), timesteps=world.t, context=world.context.half(), y=y)


def lora(tmp_path, world, change, metadata=None):
    made = loras.peft(loras.factors(world.unet), "unet.")
    path = tmp_path / "large.safetensors"
    tensors = {name: change(name, tensor).contiguous() for name, tensor in made.items()}
    save_file(tensors, path, metadata)
    halves = lora_halves(read_tensors(path))
    return read_terms(path, halves, dict.fromkeys(halves, 1.0), When())


def config(alpha):
    return {"lora_adapter_metadata": f'{{"unet.lora_alpha": {alpha}}}'}


def scaled(end, factor, dtype=torch.float32):
    def change(name, tensor):
        return tensor.to(dtype) * factor if end in name else tensor

    return change


@pytest.mark.parametrize(
    ("change", "metadata"),
    [
        (scaled("lora_A", 1e20), None),
        (scaled("lora_B", 1e300, torch.float64), None),
        (scaled("lora", 1e10), None),  # each fits, their product does not
        (scaled("", 1.0), config("1e300")),
        (scaled("", 1.0), config("1e400")),
        (scaled("", 1.0), config("NaN")),
        (scaled("", 1.0), config("-1" + "0" * 400)),
        (scaled("lora_B", 0.0), config("1e300")),
    ],
)
def test_a_lora_too_large_is_named(tmp_path, world, change, metadata):
    json.loads((metadata or config("1"))["lora_adapter_metadata"])
    with pytest.raises(InstantStyleError, match=r"^large\.safetensors"):
        lora(tmp_path, world, change, metadata)


def test_a_lora_of_usual_size_is_taken(tmp_path, world):
    assert lora(tmp_path, world, scaled("", 1.0), config("8"))


def test_a_lora_too_large_for_half_precision_is_named_as_it_acts(tmp_path, world):
    terms = lora(tmp_path, world, scaled("lora_A", 1e6))
    half = copy_of(world.unet).to(torch.float16)
    y = world.y if world.y is None else world.y.half()
    with (
        inject(
            half, find_layers(half), Plan((), tuple(terms)), Clock(lambda c: ROWS[0], lambda: 0)
        ),
        pytest.raises(InstantStyleError, match=r"^large\.safetensors .*float16"),
    ):
        half(world.x.half(), timesteps=world.t, context=world.context.half(), y=y)


@pytest.mark.parametrize("hidden", [True, False])
def test_an_encoder_too_large_is_named_and_nothing_of_it_kept(tmp_path, hidden):
    tensors = hugging_face_tensors(hugging_face_encoder("H"))
    large = {name: t * (1e30 if "mlp" in name else 1.0) for name, t in tensors.items()}
    write(tmp_path / "large.safetensors", large)
    (file,) = scan([tmp_path]).image_encoders
    files = EmbeddingFiles(BoundedFolder(tmp_path / "cache", ".safetensors", 10**8))
    embeds = ImageEmbeds(CPU, torch.float32, files=files)
    picture = reference_input(Picture(Image.new("RGB", (40, 50), "teal"), "1" * 64), Unit())
    for _ in range(2):
        with torch.no_grad(), pytest.raises(InstantStyleError, match=r"^large\.safetensors "):
            embeds.encode([picture], file, hidden)
    assert not list(tmp_path.glob("cache/*"))
