"""Guidance inside the attention, against four lines of numpy."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.unet.auto_weight import AutoWeight
from lib_instantstyle.unet.fusion import ALPHA, TAU, guided
from lib_instantstyle.unet.masks import Mask
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT, row_code
from lib_instantstyle.units.presets import BlockWeight
from tests.unit.one_layer import LATENT, LAYER, OneLayer, nag
from tests.unit.plans import plan
from tests.unit.two_adapters import Adapters
from tests.units import parse_unit

PHI = 3.0


def close(ours, oracle):
    assert_allclose(ours, oracle, atol=2e-6, rtol=0)  # computed in float32


@pytest.fixture(scope="module")
def pair():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, 40, 16, generator=generator).unbind()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return Adapters(tmp_path_factory.mktemp("adapters"))


@pytest.mark.parametrize("phi", [0.5, 2.0, 10.0, 49.0])
def test_it_is_the_published_formula(pair, phi):
    plus, minus = pair
    close(guided(plus, minus, phi), nag(plus.numpy(), minus.numpy(), phi))


def test_identities(pair):
    plus, minus = pair
    assert torch.equal(guided(plus, plus, PHI), plus)
    assert torch.equal(guided(plus, minus, 0.0), plus)
    assert torch.equal(guided(plus, minus, PHI, alpha=0.0), plus)
    far = guided(plus, minus, 49.0, alpha=1.0)
    ratio = far.abs().sum(-1) / plus.abs().sum(-1)
    assert ratio.max() <= TAU * (1 + 1e-6)
    unclipped = guided(plus, minus, PHI, tau=float("inf"))
    assert_allclose(unclipped, plus + ALPHA * PHI * (plus - minus), atol=1e-5)
    nothing = torch.zeros_like(plus)
    assert torch.equal(guided(nothing, minus, PHI), nothing)
    assert torch.equal(guided(nothing, nothing, PHI), nothing)


def test_half_precision_does_not_overflow():
    plus = torch.full((1, 2, 1280), 200.0, dtype=torch.float16)
    found = guided(plus, -plus, 10.0)
    assert found.dtype == torch.float16 and torch.isfinite(found).all()
    assert_allclose(found.float(), 200 * (ALPHA * TAU + 1 - ALPHA), rtol=1e-3)


ORDERS = [
    (PROMPT, PROMPT, NEGATIVE, NEGATIVE),
    (NEGATIVE, PROMPT, NEGATIVE, PROMPT),
    (NEGATIVE, PROMPT),
    (PROMPT,),
    (PROMPT,) * 3,
    (NEGATIVE,) * 2,
    (PROMPT, PROMPT, PROMPT, NEGATIVE),  # two prompts joined with AND
]


@pytest.mark.parametrize("rows", ORDERS)
@pytest.mark.parametrize("masked", [False, True])
def test_prompt_rows_are_guided_and_negative_rows_are_as_they_were(rows, masked):
    layer = OneLayer(rows)
    mask = Mask(np.random.default_rng(0).random(LATENT)) if masked else None
    share = mask.on_grid(*LATENT, torch.device("cpu"), torch.float64).numpy()[0] if masked else 1
    plain = layer.run(layer.term(0.7, mask=mask), strength=0.5)
    ours = layer.run(layer.term(0.7, mask=mask, guidance=PHI, away=(1,)), strength=0.5)
    for row, kind in enumerate(rows):
        text = layer.text[row].numpy()
        if kind == NEGATIVE:
            assert torch.equal(ours[row], plain[row])
        else:
            sides = [text + 0.35 * share * layer.attention(row, bank) for bank in (0, 1)]
            close(ours[row], nag(*sides))
            assert (ours[row] - plain[row]).abs().max() > 1e-2


def test_each_image_is_guided_away_from_its_own():
    rows = tuple(row_code(kind, image) for kind in (PROMPT, NEGATIVE) for image in range(3))
    layer = OneLayer(rows, bank_rows=6)
    banks = ((0, 1, 2), (3, 4, 5))
    ours = layer.run(layer.term(rows=banks, guidance=PHI, away=banks[1]))
    for row in range(3):
        text = layer.text[row].numpy()
        sides = [text + layer.attention(row, bank) for bank in (row, row + 3)]
        close(ours[row], nag(*sides))


def test_units_are_guided_each_by_itself_and_in_any_order():
    layer, other = OneLayer(), OneLayer(seed=4)
    terms = [
        layer.term(0.5, guidance=PHI, away=(1,)),
        layer.term(0.8, key=other.key, value=other.value, guidance=1.0, away=(1,), unit=2),
        layer.term(-0.3, key=other.value, value=other.key, unit=3),
    ]
    ours = layer.run(*terms)
    for order in ([2, 0, 1], [1, 2, 0]):
        assert_allclose(layer.run(*[terms[i] for i in order]), ours, atol=2e-6)
    text = layer.text
    alone = [layer.run(term) - text for term in terms]
    assert_allclose(ours, text + sum(alone), atol=2e-6)


def test_auto_weight_finds_the_same_factor():
    layer = OneLayer()
    found = []
    for more in ({}, {"guidance": PHI, "away": (1,)}):
        auto = AutoWeight(0.4)
        layer.run(layer.term(target=0.4, **more), auto={1: auto})
        found.append(auto.found())
    assert found[0] == found[1] != 1


def test_off_is_the_picture_of_before(both):
    vectors = both.vectors[:1]
    off = both.run(both.terms(both.first, {"attention_guidance": 0}, vectors))
    assert torch.equal(off, both.run(both.terms(both.first, {}, vectors)))
    same = both.terms(
        both.first, {"attention_guidance": PHI}, vectors, negative=vectors[0], weights=[1.0]
    )
    close(both.run(same)[:2], off[:2])  # away from itself


def test_at_cfg_1_a_negative_picture_changes_the_picture(both):
    rows = (PROMPT,) * 4
    a, b = both.vectors[:2]

    def run(unit, negative):
        return both.run(both.terms(both.first, unit, a[None], negative=negative), rows=rows)

    assert torch.equal(run({}, b), run({}, None))
    unit = {"attention_guidance": PHI}
    assert (run(unit, b) - run(unit, None)).abs().max() > 1e-3
    assert (run(unit, None) - run({}, None)).abs().max() > 1e-3


def test_the_swapped_side_acts_at_cfg_1_alone(both):
    unit = {"preset": "style precise", "weight": 0, "boost": 0.8, "attention_guidance": PHI}
    whole = plan(both.terms(both.first, unit, both.vectors[:1]))
    assert whole.terms and all(term.only_at_cfg_1 for term in whole.terms)
    for cfg_scale in (7.0, None):
        left = whole.in_pass(False, cfg_scale).terms
        assert len(left) == len(whole.terms) and not any(term.away for term in left)
        assert torch.equal(both.run(left)[:2], both.plain()[:2])
    at_1 = whole.in_pass(False, 1).terms
    assert (both.run(at_1)[:2] - both.plain()[:2]).abs().max() > 1e-3
    assert torch.equal(both.run(at_1)[2:], both.run(left)[2:])
    # Away from the reference, where without swapped blocks it is towards it.
    (term, *_) = at_1
    assert not term.value[list(term.rows[0])].any() and term.value[list(term.away)].any()


def test_removed_content_lies_behind_the_other_rows():
    layer = OneLayer(bank_rows=5)
    unit = parse_unit(
        {"attention_guidance": PHI, "guidance_from": "removed content", "combine": "each"}
    )
    bank = (layer.key, layer.value)
    weight = BlockWeight(1.0, False)
    term = attention_term(LAYER, weight, bank, unit, [1.0, 0.5])
    assert term.rows == ((0, 1), (2, 3)) and term.away == (4, 5)
    assert torch.equal(term.value[4:], layer.value[3:] * torch.tensor([1.0, 0.5])[:, None, None])
    together = attention_term(LAYER, weight, bank, unit.changed(combine="concat"), [1.0, 0.5])
    assert together.rows == ((0,), (1,)) and together.away == (2,)
    assert together.key.shape[1] == 2 * layer.key.shape[1]
    swapped = attention_term(LAYER, BlockWeight(1.0, True), bank, unit, [1.0, 0.5])
    assert swapped.away == swapped.rows[1] == (2, 3)
