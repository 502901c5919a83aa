"""LoRAs sliced to the style and content blocks, against copies of the UNet with merged weights."""

import copy
from contextlib import contextmanager

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.utils.state_dict_utils import (
    convert_state_dict_to_diffusers,
    convert_state_dict_to_kohya,
)
from safetensors.torch import save_file

from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.methods.b_lora.files import check_lora, read_terms
from lib_instantstyle.methods.b_lora.layers import BLOCK_OF_HALF, lora_halves
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.plan import LoraTerm, Plan, When
from tests.engine import inject
from tests.miniature.networks.to_diffusers import diffusers_unet
from tests.unit import loras
from tests.unit.copies import copy_of
from tests.unit.injection_world import World
from tests.unit.loras import CONTENT, ELSEWHERE, STYLE
from tests.unit.quantised import FourBits, Gguf, in_few_bits

EVERYTHING = (*(f"{a}.{p}" for a in ("attn1", "attn2") for p in loras.PROJECTIONS), "proj_in")
EVERYTHING += ("proj_out", "ff.net.0.proj", "ff.net.2")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World("sdxl", tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def both(world):
    return loras.factors(world.unet)


def write(folder, tensors):
    path = folder / "ink.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def by_diffusers(folder, layers, metadata=None):
    StableDiffusionXLPipeline.save_lora_weights(
        folder,
        unet_lora_layers=layers,
        weight_name="ink.safetensors",
        **({"unet_lora_adapter_metadata": metadata} if metadata else {}),
    )
    return folder / "ink.safetensors"


WRITERS = {
    "published": lambda folder, both: write(folder, loras.published(both)),
    "peft": lambda folder, both: write(folder, loras.peft(both, "base_model.model.")),
    "kohya, ldm": lambda folder, both: write(folder, loras.kohya(both)),
    "kohya, diffusers": lambda folder, both: write(folder, loras.kohya(both, ldm=False)),
    "kohya, by diffusers": lambda folder, both: write(
        folder, convert_state_dict_to_kohya(loras.peft(both))
    ),
    "diffusers": lambda folder, both: by_diffusers(folder, loras.peft(both, "")),
    "diffusers, linear layers": lambda folder, both: by_diffusers(
        folder, convert_state_dict_to_diffusers(loras.peft(both, ""))
    ),
    "LyCORIS": lambda folder, both: write(folder, loras.lycoris(both)),
    "LyCORIS, ldm": lambda folder, both: write(folder, loras.lycoris(both, ldm=True)),
    "LyCORIS, whole model": lambda folder, both: write(
        folder, loras.lycoris(both, ldm=True, start="lycoris_model_diffusion_model_")
    ),
    "LyCORIS, of a pipeline": lambda folder, both: write(
        folder, loras.lycoris(both, start="lycoris_unet_")
    ),
    "attention processors": lambda folder, both: write(folder, loras.processors(both)),
    "ComfyUI": lambda folder, both: write(
        folder,
        {
            name.replace(block.diffusers, block.ldm): tensor
            for block in (STYLE, CONTENT)
            for name, tensor in loras.peft(both, "diffusion_model.").items()
            if block.diffusers in name
        },
    ),
}


def terms_of(path, amounts, when=When()):  # noqa: B008
    halves = lora_halves(read_tensors(path))
    return tuple(read_terms(path, {half: halves[half] for half in amounts}, amounts, when))


CLOCK = Clock(rows=lambda call: (0, 0, 1, 1), fraction=lambda: 0.0)


@contextmanager
def hooked(world, terms, unet=None, clock=CLOCK):
    unet = unet or world.unet
    with inject(unet, find_layers(unet), Plan((), terms), clock) as injection:
        yield injection


def merged(unet, of_layers, amounts, names):
    """A copy of `unet` with W + amount * up @ down; names: how it calls a block."""
    copied = copy_of(unet)
    for (block, path), (down, up) in of_layers.items():
        layer = copied.get_submodule(f"{names(block)}.{path}")
        layer.weight.data += amounts.get(block, 0.0) * up @ down
    return copied


def run(world, unet):
    return unet(world.x, timesteps=world.t, context=world.context, y=world.y)


def assert_like_merged(world, path, of_layers, amounts, blocks):
    before = {name: x.clone() for name, x in world.unet.state_dict().items()}
    with hooked(world, terms_of(path, amounts)) as injection:
        styled = run(world, world.unet)
    expected = run(world, merged(world.unet, of_layers, blocks, lambda block: block.ldm))
    plain = run(world, world.unet)
    assert (styled - expected).abs().max() < 1e-5
    assert (styled - plain).abs().max() > 1e-2
    assert injection.fired == sum(bool(blocks.get(block)) for block, _ in of_layers)
    assert all(torch.equal(x, before[name]) for name, x in world.unet.state_dict().items())


@pytest.mark.parametrize("writer", list(WRITERS))
def test_every_spelling_is_the_merged_weights(world, both, writer, tmp_path):
    path = WRITERS[writer](tmp_path, both)
    amounts, blocks = {"style": 0.8, "content": -0.5}, {STYLE: 0.8, CONTENT: -0.5}
    assert_like_merged(world, path, both, amounts, blocks)


@pytest.mark.parametrize(("half", "block"), BLOCK_OF_HALF.items())
def test_halves_apart(world, both, half, block, tmp_path):
    path = write(tmp_path, loras.published(both))
    assert_like_merged(world, path, both, {half: 1.0}, {block: 1.0})


def test_any_lora_is_cut_down_to_the_block(world, tmp_path):
    """All linear layers of the block; other blocks and the text encoders are left out."""
    whole = loras.factors(world.unet, (STYLE, CONTENT, ELSEWHERE), only=EVERYTHING)
    tensors = loras.kohya(whole, alpha=1.5)
    tensors["lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"] = torch.ones(3, 8)
    path = write(tmp_path, tensors)
    alpha_over_rank = 1.5 / loras.RANK
    assert_like_merged(world, path, whole, {"style": 1.0}, {STYLE: alpha_over_rank})


def test_a_diffusers_unet(world, both, tmp_path):
    terms = terms_of(write(tmp_path, loras.published(both)), {"style": 1.0, "content": 1.0})
    unet = diffusers_unet(world.unet)
    clock = Clock(rows=lambda call: (1, 1, 0, 0), fraction=lambda: 0.0)
    given = {"encoder_hidden_states": world.context, "added_cond_kwargs": world.added}
    oracle = merged(unet, both, {STYLE: 1.0, CONTENT: 1.0}, lambda block: block.diffusers)
    with hooked(world, terms, unet, clock):
        styled = unet(world.x, world.t, **given).sample
    assert (styled - oracle(world.x, world.t, **given).sample).abs().max() < 1e-5


@pytest.mark.parametrize("kind", [FourBits, Gguf])
def test_layers_in_few_bits_take_it_too(world, both, kind, tmp_path):
    path = write(tmp_path, loras.published(both))
    amounts = {"style": 1.0, "content": 1.0}
    unet = in_few_bits(world.unet, kind)
    assert check_lora(lora_halves(read_tensors(path)), unet) == []
    with hooked(world, terms_of(path, amounts), unet):
        styled = run(world, unet)
    with hooked(world, terms_of(path, amounts)):
        torch.testing.assert_close(styled, run(world, world.unet))


@pytest.mark.parametrize(
    ("metadata", "scale"),
    [
        ({"r": 3, "lora_alpha": 6}, 2.0),
        ({"r": 3, "lora_alpha": 6, "use_rslora": True}, 6 / 3**0.5),
        ({"r": 3, "lora_alpha": 3, "alpha_pattern": {"attn1.to_q": 12}}, None),
    ],
)
def test_the_alpha_that_diffusers_writes_beside_the_tensors(both, metadata, scale, tmp_path):
    path = by_diffusers(tmp_path, loras.peft(both, ""), metadata)
    amounts = {term.path: term.amount for term in terms_of(path, {"style": 1.0})}
    assert len(amounts) == 80
    for name, amount in amounts.items():
        expected = scale or (4.0 if name.endswith("attn1.to_q") else 1.0)
        assert amount == pytest.approx(expected)


def test_it_acts_in_its_steps_with_its_curve(world, both, tmp_path):
    when = When(0.5, 1.0, "rising")
    terms = terms_of(write(tmp_path, loras.published(both)), {"style": 1.0}, when)
    plain = run(world, world.unet)
    for fraction in (0.0, 0.5, 0.75):
        clock = Clock(rows=CLOCK.rows, fraction=lambda: fraction, steps=4)  # noqa: B023
        with hooked(world, terms, clock=clock) as injection:
            styled = run(world, world.unet)
        strength = when.strength(fraction, 4)
        oracle = merged(world.unet, both, {STYLE: strength}, lambda block: block.ldm)
        assert (styled - run(world, oracle)).abs().max() < 1e-5
        assert bool(injection.fired) == bool(strength)
        assert torch.equal(styled, plain) == (strength == 0)


def test_calls_that_are_no_part_of_the_sampling_get_nothing(world, both, tmp_path):
    terms = terms_of(write(tmp_path, loras.published(both)), {"style": 1.0})
    plain = run(world, world.unet)
    with hooked(world, terms, clock=Clock(rows=lambda call: None, fraction=lambda: 0.0)):
        assert torch.equal(run(world, world.unet), plain)


def test_the_image_term_sees_queries_with_the_lora_in_them(world, both, tmp_path):
    """As if the LoRA were merged and the IP-Adapter alone there."""
    from tests.units import parse_unit

    terms = terms_of(write(tmp_path, loras.published(both)), {"style": 1.0})
    adapter = world.plan(parse_unit({"preset": "original"}))
    oracle = merged(world.unet, both, {STYLE: 1.0}, lambda block: block.ldm)
    with inject(oracle, find_layers(oracle), adapter, CLOCK):
        expected = run(world, oracle)
    both_ways = Plan(adapter.terms, terms)
    with inject(world.unet, world.layers, both_ways, CLOCK):
        styled = run(world, world.unet)
    assert (styled - expected).abs().max() < 1e-5
    with inject(world.unet, world.layers, adapter, CLOCK):
        assert (styled - run(world, world.unet)).abs().max() > 1e-2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_precisions_follow_the_layer(both, dtype, tmp_path):
    (term, *_) = terms_of(write(tmp_path, loras.published(both)), {"style": 1.0})
    from lib_instantstyle.unet.call_state import CallState
    from lib_instantstyle.unet.lora_hook import LoraHook

    layer = torch.nn.Linear(term.down.shape[1], len(term.up), bias=False).to(dtype)
    layer.register_forward_hook(LoraHook([term], CallState((0,), {term.when: 1.0})))
    x = torch.randn(1, 5, layer.in_features, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = x.float() @ (layer.weight.float() + term.up @ term.down).T
    assert layer(x).dtype == dtype
    torch.testing.assert_close(layer(x).float(), expected, rtol=0.05, atol=0.05)


def test_only_the_tensors_of_the_half_are_read(both, tmp_path, monkeypatch):
    from lib_instantstyle.files.tensors import TensorReader

    read = []
    call = TensorReader.__call__
    monkeypatch.setattr(
        TensorReader, "__call__", lambda self, name: read.append(name) or call(self, name)
    )
    terms_of(write(tmp_path, loras.published(both)), {"style": 1.0})
    assert len(read) == 160
    assert all("up_blocks.0.attentions.1." in name for name in read)


# -- what does not fit ---------------------------------------------------------------------------


def halves_of(folder, tensors):
    return lora_halves(read_tensors(write(folder, tensors)))


def test_other_shapes_are_refused_and_missing_layers_told(world, both, tmp_path):
    smaller = World("sdxl", tmp_path / "other").unet
    layer = smaller.get_submodule(f"{STYLE.ldm}.transformer_blocks.3.attn2.to_k")
    layer.in_features = 7
    halves = halves_of(tmp_path, loras.published(both))
    with pytest.raises(ValueError, match=r"attn2.to_k is 64 x 320, the checkpoint's 64 x 7"):
        check_lora(halves, smaller)
    pruned = copy.deepcopy(world.unet)
    del pruned.get_submodule(STYLE.ldm).transformer_blocks[9]
    lacking = check_lora(halves, pruned)
    assert len(lacking) == 8
    assert f"{STYLE.diffusers}.transformer_blocks.9.attn1.to_q" in lacking


def test_every_term_is_of_a_layer_that_is_there(world, both, tmp_path):
    assert check_lora(halves_of(tmp_path, loras.published(both)), world.unet) == []
    terms = terms_of(tmp_path / "ink.safetensors", {"style": 1.0, "content": 1.0})
    assert len(terms) == 160
    assert {type(term) for term in terms} == {LoraTerm}
