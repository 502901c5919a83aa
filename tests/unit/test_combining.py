"""Several references as one, and what a weight multiplies, against the published formulas."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lib_instantstyle.methods.ip_adapter.features import COMBINE_FUNCTIONS as COMBINING
from lib_instantstyle.methods.ip_adapter.features import combine, weighted
from lib_instantstyle.methods.ip_adapter.terms import SCALE_FUNCTIONS, scale
from lib_instantstyle.units.choices import COMBINE, CONCAT, EACH, EMBEDS_SCALING, SEPARATED


def features(count, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for _ in range(count)]


# IPAdapter plus's formulas on a numpy array [references, ...].
FORMULAS = {
    "average": lambda e: e.sum(0) / len(e),
    "norm average": lambda e: (e / np.sqrt((e * e).sum(0))).sum(0) / len(e),
    "add": lambda e: e.sum(0),
    "subtract": lambda e: e[0] - e[1:].sum(0) / (len(e) - 1),
    "max": lambda e: e.max(0),
    "min": lambda e: e.min(0),
}


def test_every_mode_that_a_unit_may_ask_for_exists():
    assert set(COMBINING) == set(FORMULAS) == set(COMBINE) - {CONCAT, EACH, *SEPARATED}
    assert set(SCALE_FUNCTIONS) == set(EMBEDS_SCALING)


@pytest.mark.parametrize("mode", FORMULAS)
@pytest.mark.parametrize("shape", [(64,), (7, 32)], ids=["vector", "hidden states"])
@pytest.mark.parametrize("count", [2, 4])
def test_combining_follows_the_published_formula(mode, shape, count):
    given = features(count, *shape)
    found = combine(given, mode)
    assert found.shape == shape
    np.testing.assert_allclose(found, FORMULAS[mode](torch.stack(given).numpy()), atol=1e-6)


@pytest.mark.parametrize("mode", FORMULAS)
def test_one_reference_is_left_as_it_is(mode):
    (feature,) = features(1, 16)
    assert torch.equal(combine([feature], mode), feature)


def test_the_norm_goes_across_the_references_not_along_them():
    one, other = torch.tensor([3.0, 0.0, 2.0]), torch.tensor([4.0, 0.0, 0.0])
    found = combine([one, other], "norm average")
    torch.testing.assert_close(found, torch.tensor([0.7, 0.0, 0.5]))


def test_a_weight_multiplies_its_reference_before_they_are_combined():
    one, other = features(2, 8)
    found = combine(weighted([one, other], [2.0, -0.5]), "subtract")
    torch.testing.assert_close(found, 2 * one + 0.5 * other)
    with pytest.raises(ValueError):
        weighted([one, other], [1.0])


def attention(query, key, value):
    return F.scaled_dot_product_attention(query, key, value)


@pytest.mark.parametrize("width", [320, 640, 1280])
@pytest.mark.parametrize("mode", EMBEDS_SCALING)
def test_scaling_follows_the_published_formula(mode, width):
    """ComfyUI's order of things: K and V are scaled before attention, or the output after it."""
    weight, tokens = 0.7, 5
    query, key, value = features(3, 2, tokens, width, seed=1)
    c = width / 1280
    mean = value.mean(1, keepdim=True)
    expected = {
        "V only": lambda: attention(query, key, value) * weight,
        "K+V": lambda: attention(query, key * weight, value * weight),
        "K+V w/ C penalty": lambda: attention(query, key * weight * c, value * weight * c),
        "K+mean(V) w/ C penalty": lambda: attention(
            query, key * weight * c, (value - mean) + mean * weight * c
        ),
    }[mode]()
    new_key, new_value, factor = scale(mode, key, value, weight)
    found = attention(query, new_key, new_value) * factor
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (factor == weight) == (mode == "V only")


def test_scaling_leaves_what_it_is_given_alone():
    key, value = features(2, 2, 4, 320)
    before = key.clone(), value.clone()
    for mode in EMBEDS_SCALING:
        scale(mode, key, value, 0.5)
    assert torch.equal(key, before[0]) and torch.equal(value, before[1])
