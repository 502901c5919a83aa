"""The hook pair against diffusers' own IP-Adapter with its per-block scale dictionary."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from diffusers.loaders import IPAdapterMixin
from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.image_attention import ImageAttention
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.plan import layer_weights
from tests.engine import inject
from tests.miniature.networks.to_diffusers import diffusers_unet, load_adapters
from tests.miniature.networks.unet import SDXL_TINY, UNetModel
from tests.unit.adapters import as_diffusers
from tests.unit.copies import copy_of
from tests.unit.injection_world import ROWS, World
from tests.unit.quantised import FourBits, Gguf, in_few_bits
from tests.units import Unit, parse_unit

SCALES = {  # diffusers' notation of our presets
    ("sdxl", "style"): {"up": {"block_0": [0.0, 1.0, 0.0]}},
    ("sdxl", "style+layout"): {"down": {"block_2": [0.0, 1.0]}, "up": {"block_0": [0.0, 1.0, 0.0]}},
    ("sdxl", "layout"): {"down": {"block_2": [0.0, 1.0]}},
    ("sdxl", "original"): 1.0,
    ("sd15", "style"): {"up": {"block_1": 1.0}},
    ("sd15", "style+layout"): {"down": {"block_2": 1.0}, "mid": 1.0, "up": {"block_1": 1.0}},
    ("sd15", "layout"): {"down": {"block_2": [0.25, 1.0]}},
    ("sd15", "original"): 1.0,
}


@pytest.fixture(scope="module", params=["sdxl", "sd15", "sd2", "inpainting"])
def world(request, tmp_path_factory):
    return World(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("preset", sorted({preset for _, preset in SCALES}))
def test_output_equals_diffusers_with_the_same_scales(world, preset):
    unit = parse_unit({"preset": preset, "weight": 0.8})
    scale = SCALES[world.layers.layout.id, preset]
    scale = 0.8 if scale == 1.0 else _scaled(scale, 0.8)
    oracle = diffusers_unet(world.unet)
    plain = world.run_diffusers(oracle)
    torch.testing.assert_close(world.run(), plain, atol=1e-5, rtol=0)

    load_adapters(oracle, as_diffusers(world.tensors))
    IPAdapterMixin.set_ip_adapter_scale(SimpleNamespace(unet=oracle, unet_name="unet"), scale)
    for rows in ROWS:
        ours, injection = world.run_with(world.plan(unit), rows)
        theirs = world.run_diffusers(oracle, rows)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
        assert (ours - plain).abs().max() > 1e-3  # the comparison must have something to see
        assert injection.fired == len(layer_weights(unit, world.layers))


def _scaled(scale, factor):
    if isinstance(scale, dict):
        return {key: _scaled(value, factor) for key, value in scale.items()}
    return [s * factor for s in scale] if isinstance(scale, list) else scale * factor


def test_hooks_work_on_diffusers_own_unet_too(world):
    unit = Unit(preset="style+layout")
    expected, _ = world.run_with(world.plan(unit), ROWS[0])
    theirs = diffusers_unet(world.unet)
    layers = find_layers(theirs)
    assert layers.layout is world.layers.layout
    clock = Clock(lambda call: ROWS[0], lambda: 0.0)
    with inject(theirs, layers, world.plan(unit, layers), clock):
        found = world.run_diffusers(theirs)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_added_term_is_linear_in_the_weight_and_only_in_the_selected_layers(world):
    seen = {}
    for number, found in world.layers.by_number.items():
        found.module.to_out[0].register_forward_hook(
            lambda m, args, out, number=number: seen.setdefault(number, []).append(args[0].clone())
        )
    unit = Unit(preset="style")
    selected = layer_weights(unit, world.layers)
    for weight in (0.0, 1.0, 2.0):
        if weight:
            world.run_with(world.plan(Unit(preset="style", weight=weight)), ROWS[0])
        else:
            world.run()
    for found in world.layers.by_number.values():
        found.module.to_out[0]._forward_hooks.clear()
    # The first selected layer sees the same query at any weight; later ones see its effect.
    in_order = sorted(
        world.layers.by_number.values(), key=lambda c: (c.layer.block.index, c.layer.depth_index)
    )
    first = next(c.layer.number for c in in_order if c.layer.number in selected)
    plain, once, twice = seen[first]
    torch.testing.assert_close(twice - plain, 2 * (once - plain), atol=1e-5, rtol=1e-5)
    assert (once - plain).abs().max() > 1e-3
    for c in in_order[: [c.layer.number for c in in_order].index(first)]:
        assert torch.equal(seen[c.layer.number][0], seen[c.layer.number][1])


def hooks_on(module):
    return [
        (name, kind)
        for name, m in module.named_modules()
        for kind in ("_forward_hooks", "_forward_pre_hooks")
        if getattr(m, kind)
    ]


def test_nothing_is_left_on_the_unet(world):
    before = world.run()
    attributes = set(vars(world.unet))
    with (
        pytest.raises(ZeroDivisionError),
        inject(
            world.unet, world.layers, world.plan(Unit()), Clock(lambda call: ROWS[0], lambda: 0.0)
        ),
    ):
        assert len(hooks_on(world.unet)) == 1 + 2 * len(layer_weights(Unit(), world.layers))
        raise ZeroDivisionError
    assert hooks_on(world.unet) == []
    assert set(vars(world.unet)) == attributes
    assert torch.equal(world.run(), before)


def test_hooks_left_by_a_killed_run_are_removed_by_the_next(world):
    clock = Clock(lambda call: ROWS[0], lambda: 0.0)
    killed = inject(world.unet, world.layers, world.plan(Unit(preset="original")), clock)
    killed.__enter__()
    expected = None
    with inject(world.unet, world.layers, world.plan(Unit()), clock):
        expected = world.run()
    assert hooks_on(world.unet) == []
    again, _ = world.run_with(world.plan(Unit()), ROWS[0])
    assert torch.equal(again, expected)


def test_outside_its_range_a_unit_adds_nothing(world):
    plan = world.plan(Unit(start=0.25, end=0.5))
    plain = world.run()
    for fraction, acts in ((0.0, False), (0.25, True), (0.49, True), (0.5, False), (0.9, False)):
        out, injection = world.run_with(plan, ROWS[0], fraction)
        assert (injection.fired > 0) is acts
        assert torch.equal(out, plain) is not acts


def test_a_call_whose_rows_nobody_announced_gets_nothing(world):
    out, injection = world.run_with(world.plan(Unit()), None)
    assert torch.equal(out, world.run())
    assert injection.unknown_calls == 1 and injection.fired == 0


def test_keys_and_values_are_gathered_once_per_pattern(world, monkeypatch):
    plan = world.plan(Unit())
    made = []
    real = ImageAttention._gather
    monkeypatch.setattr(ImageAttention, "_gather", lambda *a: made.append(a) or real(*a))
    clock = Clock(lambda call: ROWS[0], lambda: 0.0)
    with inject(world.unet, world.layers, plan, clock):
        for _ in range(3):
            world.run()
    assert len(made) == 2 * len(plan.terms)  # K and V


def test_half_precision_follows_the_query(world):
    """The UNet may run in bf16 while the plan is float32."""
    half = copy_of(world.unet).to(torch.bfloat16)
    layers = find_layers(half)
    plan = world.plan(Unit(preset="original"), layers)
    clock = Clock(lambda call: ROWS[0], lambda: 0.0)

    def call(unet, dtype):
        y = world.y if world.y is None else world.y.to(dtype)
        return unet(world.x.to(dtype), timesteps=world.t, context=world.context.to(dtype), y=y)

    plain = call(half, torch.bfloat16).float()
    with inject(half, layers, plan, clock):
        out = call(half, torch.bfloat16)
    full, _ = world.run_with(plan, ROWS[0])
    assert out.dtype == torch.bfloat16
    term, expected = out.float() - plain, full - world.run()
    assert torch.nn.functional.cosine_similarity(term.flatten(), expected.flatten(), dim=0) > 0.9


@pytest.mark.parametrize("kind", [FourBits, Gguf])
def test_layers_in_few_bits_are_styled_like_any(world, kind):
    packed = in_few_bits(world.unet, kind)
    layers = find_layers(packed)
    assert layers.signature == world.layers.signature
    plan = world.plan(Unit(preset="original"))
    expected, _ = world.run_with(plan, ROWS[0])
    with inject(packed, layers, plan, Clock(lambda call: ROWS[0], lambda: 0.0)):
        torch.testing.assert_close(world.run(packed), expected)


def test_layers_that_do_not_say_their_size_are_refused_with_a_sentence(world):
    unet = in_few_bits(world.unet, FourBits)
    for module in unet.modules():
        if isinstance(module, FourBits):
            del module.weight
    with pytest.raises(InstantStyleError, match="is made of FourBits, which does not say its size"):
        find_layers(unet)


def test_a_pruned_sdxl_keeps_the_names_of_what_it_has():
    """As SSD-1B: no attention in the middle block, fewer transformer blocks elsewhere."""
    unet = UNetModel(replace(SDXL_TINY, depth=(0, 2, 4)))
    unet.middle_block = nn.ModuleList([unet.middle_block[0], unet.middle_block[2]])
    layers = find_layers(unet)
    assert layers.layout.id == "sdxl"
    style = layer_weights(Unit(), layers)
    assert list(style) == [69, 71, 73, 75]  # numbers of the same layers in a whole SDXL
    assert not [n for n in layers.by_number if n > 119]


def test_a_network_without_known_blocks_is_refused_with_a_sentence():
    with pytest.raises(InstantStyleError, match="no cross-attention blocks in the layout"):
        find_layers(nn.Sequential(nn.Linear(2, 2)))
