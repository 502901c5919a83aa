"""What must not grow: the tensor operations of the hooks, counted one by one."""

import pytest
import torch
from diffusers.models.attention import BasicTransformerBlock

from lib_instantstyle.unet.injection import Clock, Injection
from lib_instantstyle.unet.masks import mask_of
from lib_instantstyle.unet.purify import DampedBanks, Purify
from tests.operations import VIEWS, Operations, flops
from tests.unit.plans import plan
from tests.unit.two_adapters import ROWS, Adapters, half_mask

LAYERS = 3  # of the style preset in SD1.5
REDUCTIONS = {"sum", "mean", "norm", "linalg_vector_norm", "std", "var", "var_mean", "amax", "dot"}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return Adapters(tmp_path_factory.mktemp("adapters"))


def operations(both, *units, first=False):
    """What the hooks of `units` add to a UNet call, the first or another; views left out."""
    counts = []
    for terms in ((), units):
        injection = Injection(plan(*terms), Clock(lambda call: ROWS, lambda: 0.0))
        with torch.no_grad():
            injection.attach(both.world.unet, both.layers)
            try:
                if not first:
                    both.world.run()
                with Operations() as mode:
                    both.world.run()
            finally:
                injection.detach()
        counts.append(mode.seen)
    more = counts[1] - counts[0]
    return {name: count for name, count in more.items() if name not in VIEWS}


def test_a_layer_costs_one_attention_and_one_sum(both):
    """No projection, no copy to or from the device, nothing read back."""
    unit = both.terms(both.first, {}, both.vectors[:1])
    assert operations(both, unit) == {"attention": LAYERS, "add": LAYERS}


def test_many_references_cost_no_operation_more(both):
    unit = both.terms(both.first, {}, both.vectors[:4])
    assert operations(both, unit) == {"attention": LAYERS, "add": LAYERS}


def test_a_second_unit_costs_no_second_attention(both):
    units = [both.terms(which, {}, both.vectors[:1]) for which in (both.first, both.second)]
    found = operations(both, *units)
    assert found["attention"] == LAYERS and found["add"] == 2 * LAYERS
    assert not {"mm", "addmm", "bmm", "linear", "matmul", "to_copy", "local_scalar_dense"} & {
        *found
    }


def test_a_mask_costs_a_fused_sum_in_place_of_the_sum(both):
    mask = mask_of(half_mask(32, left=True))
    unit = both.terms(both.first, {}, both.vectors[:1], mask=mask)
    assert operations(both, unit) == {"attention": LAYERS, "addcmul": LAYERS}


def test_nothing_is_added_outside_the_range_of_a_unit(both):
    unit = both.terms(both.first, {"start": 0.5}, both.vectors[:1])
    assert operations(both, unit) == {}


def test_to_find_a_weight_costs_one_reduction_in_each_layer_of_the_first_call(both):
    unit = both.terms(both.first, {"auto_weight": 0.3}, both.vectors[:1])
    found = operations(both, unit, first=True)
    assert {name: found[name] for name in REDUCTIONS & {*found}} == {"sum": LAYERS}
    assert "local_scalar_dense" not in found


def test_a_found_weight_costs_nothing_more_after_its_first_call(both):
    unit = both.terms(both.first, {"auto_weight": 0.3}, both.vectors[:1])
    assert operations(both, unit) == {"attention": LAYERS, "addcmul": LAYERS}


PROJECTIONS = {"mm", "addmm", "bmm", "linear", "matmul", "local_scalar_dense"}


def test_guidance_costs_one_more_attention_whatever_the_units_are(both):
    guided = {"attention_guidance": 3}
    one = operations(both, both.terms(both.first, guided, both.vectors[:1]))
    two = operations(
        both, *[both.terms(which, guided, both.vectors[:1]) for which in (both.first, both.second)]
    )
    assert one["attention"] == two["attention"] == 2 * LAYERS
    assert one["linalg_vector_norm"] == 2 * LAYERS
    assert not PROJECTIONS & {*one, *two}


def test_fusion_costs_no_further_attention(both):
    found = operations(both, both.terms(both.first, {"fusion": "adain"}, both.vectors[:1]))
    assert found["attention"] == LAYERS and found["lerp"] == LAYERS
    assert not PROJECTIONS & {*found}


# Of a transformer layer at its real width: tokens of the picture, heads, width of the text tokens,
# tokens of the reference, and the share of the layer's operations that damping them may cost.
WIDTHS = {
    "SDXL, 4 tokens": (1024, 20, 2048, 4, 0.0001),
    "SDXL, 16 tokens": (1024, 20, 2048, 16, 0.001),
    "SD1.5, 16 tokens": (256, 8, 768, 16, 0.001),
    # The exact product of 257 x 257 x 1280 numbers; only full-face adapters have so many.
    "SD1.5, 257 tokens": (256, 8, 768, 257, 0.015),
}


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_purify_costs_a_small_share_of_the_layer_that_it_acts_in(width):
    picture, heads, text, tokens, share = width
    with torch.device("meta"), torch.no_grad():
        layer = BasicTransformerBlock(1280, heads, 1280 // heads, cross_attention_dim=text)
        x, context = torch.zeros(2, picture, 1280), torch.zeros(2, 77, text)
        of_layer = flops(lambda: layer(x, encoder_hidden_states=context))
        left, right = torch.zeros(2, 1, tokens, tokens), torch.zeros(2, 1, tokens, 1280)
        damped = DampedBanks([Purify(0.5, torch.zeros(2, 1, tokens), left, right)])
        of_purify = flops(lambda: damped.at(0.1))
    assert 0 < of_purify < share * of_layer
