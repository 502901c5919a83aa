"""The terms of a unit that damps its reference's tokens, and what is said of it."""

import numpy as np
import pytest
import torch

from lib_instantstyle.methods.ip_adapter.purify import (
    in_status,
    in_steps,
    keeps_all,
    token_count,
)
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.unet.plan import layer_weights
from lib_instantstyle.unet.purify import DampedBanks
from tests.unit.cs_svd import banks_of, close, terms_of
from tests.unit.two_adapters import Adapters
from tests.units import parse_unit


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return Adapters(tmp_path_factory.mktemp("adapters"))


UNITS = {
    "usual": {},
    "relative": {"purify_scale": "relative", "purify": 1.5},
    "K+V": {"embeds_scaling": "K+V", "weight": 0.7},
    "K+V w/ C penalty": {"embeds_scaling": "K+V w/ C penalty", "weight": 3},
    "K+mean(V) w/ C penalty": {"embeds_scaling": "K+mean(V) w/ C penalty", "weight": 3},
    "negated": {"preset": "style precise", "boost": 2, "negative_weight": 0.6},
    "negated, mean": {"preset": "style precise", "embeds_scaling": "K+mean(V) w/ C penalty"},
    "kept": {"purify_keep": 2},
}


@pytest.mark.parametrize("references", ["one", "concat", "each"])
@pytest.mark.parametrize("name", UNITS)
def test_a_term_is_that_of_damped_tokens(both, name, references):
    unit = parse_unit({"purify": 0.3, **UNITS[name]})
    vectors, weights = both.vectors[:1], [0.5]
    if references != "one":
        unit = unit.changed(combine=references)
        vectors, weights = both.vectors[:3], [1.0, 0.5, -0.8]
    found = terms_of(both, unit, vectors, weights)
    expected = terms_of(both, unit, vectors, weights, oracle_at=0.1)
    banks = DampedBanks([term.purify for term in found]).at(0.1)
    seen = set()
    for term, other in zip(found, expected, strict=True):
        key, value = banks[id(term.purify)]
        rows = slice(term.purify.first, term.purify.first + len(key))
        seen.add(term.purify.first)
        assert term.weight == other.weight and term.rows == other.rows
        close(key, other.key[rows], atol=1e-4)
        close(value, other.value[rows], atol=1e-4)
        assert (value - term.value[rows]).abs().max() > 1e-2
        assert max(key.abs().max(), value.abs().max()) <= term.largest
    prompts = len(found[0].rows[0])
    assert seen == ({0, prompts} if "negated" in name else {0})


def test_the_weight_of_a_single_reference_is_a_share_of_the_units_weight(both):
    half, whole = (
        terms_of(both, parse_unit({"purify": 0.3}), both.vectors[:1], [weight])[0].purify
        for weight in (0.5, 1.0)
    )
    for one, other, factors in zip(
        *(DampedBanks([p]).at(0.1)[id(p)] for p in (half, whole)), (1, 2)
    ):
        close(factors * one, other)
    nothing = terms_of(both, parse_unit({"purify": 0.3}), both.vectors[:2], [0.0, 0.0])[0]
    assert not DampedBanks([nothing.purify]).at(0.1)[id(nothing.purify)][1].any()


def test_numbers_that_are_none_are_left_to_the_caller_to_refuse(both):
    number, weight = next(iter(layer_weights(parse_unit({}), both.layers).items()))
    bank = torch.full((2, 4, 8), float("inf"))
    unit = parse_unit({"purify": 1, "report": True})
    term = attention_term(both.layers.by_number[number].layer, weight, (bank, bank), unit, [1.0])
    assert term.largest == float("inf") and term.purify is None


def test_a_report_has_the_singular_values_of_the_first_layer_of_each_block(both):
    unit = parse_unit({"report": True, "preset": "original"})
    found = terms_of(both, unit, both.vectors[:1], [0.5])
    banks = banks_of(both, both.vectors[:1])
    for term in found:
        if term.layer.depth_index:
            assert term.singular_values is None
            continue
        for values, bank in zip(term.singular_values, banks[term.layer.number]):
            np.testing.assert_allclose(values, np.linalg.svd(bank[0], compute_uv=False), rtol=1e-4)
    assert all(term.purify is None for term in found)
    plain = terms_of(both, parse_unit({}), both.vectors[:1], [0.5])
    assert all(term.singular_values is None for term in plain)


# -- what is said --------------------------------------------------------------------------------


def test_plan_and_status_line_say_until_when():
    unit, late = parse_unit({"purify": 0.5, "purify_keep": 2}), [*range(21, 31)]
    tail = "the tail of the tokens' singular values, from number 3 on, is damped"
    both_passes = [([*range(1, 31)], 30), ([*range(1, 9)], 8)]
    assert in_steps(unit, both_passes[:1]) == f"{tail} until step 15 of 30"
    assert in_steps(unit, [*both_passes[:1], ([], 0)]) == f"{tail} until step 15 of 30"
    assert in_steps(unit, both_passes) == (
        f"{tail} until step 15 of 30 and until step 4 of 8, of hires fix"
    )
    assert in_steps(unit, [(late, 30)]) == f"{tail} in none of its steps, because they are late"
    assert in_status(unit) == f"T{tail[1:]} in the first 53% of the steps."


def test_a_unit_that_keeps_all_values_is_told(both):
    kind = both.first[1].projection
    counts = {
        combine: token_count(parse_unit({"combine": combine}), kind, 3)
        for combine in ("concat", "each", "average")
    }
    assert counts == {"concat": 12, "each": 4, "average": 4}
    unit = parse_unit({"purify": 0.5, "purify_keep": 4})
    assert keeps_all(unit, 4) == (
        "purify changes nothing, because the reference has 4 image tokens and purify_keep (4) lets "
        "as many singular values stay."
    )
    assert keeps_all(unit, 5) == keeps_all(unit, None) == ""
