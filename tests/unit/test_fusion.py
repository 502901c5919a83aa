"""Text and image attention fused by AdaIN, against numpy's mean and standard deviation."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.unet.auto_weight import AutoWeight
from lib_instantstyle.unet.fusion import cross_modal
from lib_instantstyle.unet.masks import Mask
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from lib_instantstyle.units.presets import BlockWeight
from tests.unit.one_layer import LATENT, LAYER, OneLayer, nag
from tests.unit.two_adapters import ROWS, Adapters
from tests.units import parse_unit

FUSED = (1.0, 1.0)
PHI = 3.0


def oracle(text, image):
    scaled = (text - text.mean(0)) / text.std(0, ddof=1) * image.std(0, ddof=1)
    return scaled + image.mean(0)


def close(ours, theirs):
    assert_allclose(ours, theirs, atol=3e-6, rtol=0)  # computed in float32


@pytest.fixture(scope="module")
def pair():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, 40, 16, generator=generator).unbind()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return Adapters(tmp_path_factory.mktemp("adapters"))


def test_identities(pair):
    text, image = pair
    found = cross_modal(text, image)
    for row in range(3):
        close(found[row], oracle(text[row].numpy(), image[row].numpy()))
    assert_allclose(cross_modal(text, text), text, atol=1e-5)
    assert_allclose(found.mean(1), image.mean(1), atol=1e-5)
    assert_allclose(found.std(1), image.std(1), atol=1e-5)
    assert_allclose(cross_modal(found, image), found, atol=1e-5)
    scale, shift = torch.rand(1, 1, 16) + 0.5, torch.randn(1, 1, 16)
    assert_allclose(cross_modal(text * scale + shift, image), found, atol=1e-5)


def test_what_has_no_deviation(pair):
    text, image = pair
    constant = image[:, :1].expand_as(image)
    assert_allclose(cross_modal(text, constant), constant, atol=1e-5)  # as with one image token
    assert_allclose(cross_modal(torch.full_like(text, 3.0), image)[:, 0], image.mean(1), atol=1e-5)
    one = cross_modal(text[:, :1], image[:, :1])
    assert torch.equal(one, image[:, :1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_statistics_are_exact_in_half_precision(dtype):
    text = torch.randn(1, 4096, 8, generator=torch.Generator().manual_seed(0)) + 30
    image = text.flip(1) * 0.5
    found = cross_modal(text.to(dtype), image.to(dtype))
    assert found.dtype == dtype
    assert_allclose(found.float().mean(1), image.mean(1), rtol=1e-2)
    assert_allclose(found.float().std(1), image.std(1), rtol=2e-2)


def test_a_masks_outside_does_not_count(pair):
    text, image = (each[:, :24] for each in pair)
    inside = torch.zeros(1, 24, 1)
    inside[:, 5:17] = 1
    found = cross_modal(text, image, inside)
    close(found[1, 5:17], oracle(text[1, 5:17].numpy(), image[1, 5:17].numpy()))
    moved = text.clone()
    moved[:, 20:] += 100
    assert_allclose(cross_modal(moved, image, inside)[:, 5:17], found[:, 5:17], atol=1e-5)
    assert torch.isfinite(cross_modal(text, image, inside * 0)).all()


ORDERS = [ROWS, (NEGATIVE, PROMPT), (PROMPT,), (PROMPT,) * 3, (PROMPT, PROMPT, NEGATIVE)]


@pytest.mark.parametrize("rows", ORDERS)
@pytest.mark.parametrize("weight", [1.0, 0.3, 1.7, -0.5])
def test_each_row_by_itself(rows, weight):
    layer = OneLayer(rows)
    ours = layer.run(layer.term(weight, fused=FUSED))
    share = min(max(weight, 0), 1)
    for row, kind in enumerate(rows):
        text, image = layer.text[row].numpy(), layer.attention(row, kind)
        close(ours[row], (1 - share) * text + share * oracle(text, image))
    if share == 0:
        assert torch.equal(ours, layer.text)


def test_a_mask_and_a_time_curve_are_shares():
    layer = OneLayer()
    mask = Mask(np.kron([[1, 0]], np.ones((4, 3))))
    ours = layer.run(layer.term(0.8, fused=FUSED, mask=mask), strength=0.5)
    inside = mask.on_grid(*LATENT, torch.device("cpu"), torch.float64)[0, :, 0] > 0
    assert torch.equal(ours[:, ~inside], layer.text[:, ~inside])
    for row, kind in enumerate(layer.rows):
        text = layer.text[row, inside].numpy()
        image = layer.attention(row, kind)[inside.numpy()]
        close(ours[row, inside], 0.6 * text + 0.4 * oracle(text, image))


@pytest.mark.parametrize("weights", [(0.3, 0.5), (1.0, 1.0), (0.9, 0.6)])
def test_several_units_in_any_order(weights):
    layer, other = OneLayer(), OneLayer(seed=4)
    terms = [
        layer.term(weights[0], fused=FUSED),
        layer.term(weights[1], key=other.key, value=other.value, fused=FUSED, unit=2),
        layer.term(-0.3, key=other.value, value=other.key, unit=3),
    ]
    ours = layer.run(*terms)
    for order in ([2, 0, 1], [1, 2, 0]):
        assert_allclose(layer.run(*[terms[i] for i in order]), ours, atol=2e-6)
    total = max(1.0, sum(weights))
    for row, kind in enumerate(layer.rows):
        text = layer.text[row].numpy()
        first = oracle(text, layer.attention(row, kind)) - text
        second = oracle(text, layer.attention(row, kind, other.key, other.value)) - text
        added = -0.3 * layer.attention(row, kind, other.value, other.key)
        shares = [weight / total for weight in weights]
        close(ours[row], text + shares[0] * first + shares[1] * second + added)


def test_guidance_moves_what_is_fused():
    layer = OneLayer()
    ours = layer.run(layer.term(0.6, fused=FUSED, guidance=PHI, away=(1,)))
    text = layer.text[0].numpy()
    sides = [0.4 * text + 0.6 * oracle(text, layer.attention(0, bank)) for bank in (0, 1)]
    close(ours[0], nag(*sides))
    swapped = layer.run(layer.term(0.6, fused=(0.0, 1.0), guidance=PHI, away=(1,)))
    close(swapped[0], nag(text, sides[1]))


def test_auto_weight_is_a_factor_of_the_share():
    layer = OneLayer()
    auto = AutoWeight(0.2)
    ours = layer.run(layer.term(0.5, fused=FUSED, target=0.2), auto={1: auto})
    share = 0.5 * auto.found()
    assert 0 < share < 1
    text = layer.text[0].numpy()
    close(ours[0], (1 - share) * text + share * oracle(text, layer.attention(0, 0)))


BANK = (torch.randn(3, 4, 8), torch.randn(3, 4, 8))


def term_of(unit, weights, negated=False, bank=BANK, weight=0.7):
    return attention_term(LAYER, BlockWeight(weight, negated), bank, parse_unit(unit), weights)


def test_weights_are_shares_and_not_contrast():
    fused = {"fusion": "adain", "embeds_scaling": "K+V", "negative_weight": 0.5}
    each = term_of({**fused, "combine": "each"}, [1.0, 0.25])
    assert each.fused == (1.0, 0.25, 0.5, 0.125) and each.weight == 0.7
    assert torch.equal(each.value[:2], BANK[1][:2]) and torch.equal(each.key[0], BANK[0][0])
    side_by_side = term_of(fused, [0.5, 0.25])
    assert side_by_side.fused == (0.5, 0.5)
    assert torch.equal(side_by_side.value[0, 4:], BANK[1][1] * 0.5)
    assert torch.equal(side_by_side.value[0, :4], BANK[1][0])
    swapped = term_of({**fused, "combine": "each"}, [1.0, 0.25], negated=True)
    assert swapped.fused == (0.0, 0.0, 0.5, 0.125)
    assert not term_of({}, [1.0, 1.0]).fused


def test_it_fuses_in_a_unet(both):
    vectors = both.vectors[:1]
    assert torch.equal(
        both.run(both.terms(both.first, {"fusion": "add"}, vectors)),
        both.run(both.terms(both.first, {}, vectors)),
    )
    fused = both.run(both.terms(both.first, {"fusion": "adain"}, vectors))
    assert (fused - both.plain()).abs().max() > 1e-3
    alone = both.run(both.terms(both.first, {"fusion": "adain", "negative_weight": 0}, vectors))
    assert torch.equal(alone[2:], both.plain()[2:]) and torch.equal(alone[:2], fused[:2])
