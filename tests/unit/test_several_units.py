"""Several units, references and masks, against diffusers with several adapters."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib_instantstyle.unet.masks import Mask, mask_of
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT, row_code
from tests.miniature.networks.attention import attention_by
from tests.unit.injection_world import EMBEDDING
from tests.unit.two_adapters import ROWS, Adapters, half_mask

FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    with attention_by("sdp"):  # the quicker one; this file paints a hundred pictures
        yield Adapters(tmp_path_factory.mktemp("adapters"))


def by_rows(*vectors):
    """[rows, images, E]: prompt rows get the vectors, negative rows zero."""
    shown = torch.stack(vectors)
    return torch.stack([shown if kind == PROMPT else torch.zeros_like(shown) for kind in ROWS])


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_two_units_with_adapters_and_blocks_of_their_own(both):
    a, b = both.vectors[:2]
    layout, style = {"down": {"block_2": [0.25, 1.0]}}, {"up": {"block_1": 0.7}}
    ours = both.run(
        both.terms(both.first, {"preset": "layout"}, a[None]),
        both.terms(both.second, {"preset": "style", "weight": 0.7}, b[None]),
    )
    close(ours, both.diffusers([0, 1], [layout, style], [by_rows(a), by_rows(b)]))
    assert (ours - both.plain()).abs().max() > 1e-3


def test_two_units_on_the_same_layers_are_one_attention(both, monkeypatch):
    a, b = both.vectors[:2]
    calls = []
    real = torch.nn.functional.scaled_dot_product_attention
    units = (
        both.terms(both.first, {"weight": 0.6}, a[None]),
        both.terms(both.second, {"weight": -0.4}, b[None]),
    )
    from lib_instantstyle.unet import image_attention

    monkeypatch.setattr(
        image_attention.F,
        "scaled_dot_product_attention",
        lambda *given, **more: calls.append(given[0].shape) or real(*given, **more),
    )
    ours = both.run(*units)
    heads = {c.heads for c in both.layers.by_number.values()}
    assert [shape[1] for shape in calls if shape[2:] and shape[1] not in heads] == [
        2 * both.layers.by_number[number].heads for number in (13, 15, 17)
    ]
    scales = [{"up": {"block_1": 0.6}}, {"up": {"block_1": -0.4}}]
    close(ours, both.diffusers([0, 1], scales, [by_rows(a), by_rows(b)]))


def test_several_references_lie_in_one_softmax(both):
    ours = both.run(both.terms(both.first, {"preset": "original"}, both.vectors[:3]))
    close(ours, both.diffusers([0], 1.0, [by_rows(*both.vectors[:3])]))


def test_each_image_of_the_batch_has_its_own_reference(both):
    a, b = both.vectors[:2]
    rows = tuple(row_code(kind, image) for kind in (PROMPT, NEGATIVE) for image in (0, 1))
    unit = both.terms(both.first, {"combine": "each"}, torch.stack([a, b]))
    embeds = torch.stack([a, b, torch.zeros_like(a), torch.zeros_like(a)])[:, None]
    ours = both.run(unit, rows=rows)
    close(ours, both.diffusers([0], {"up": {"block_1": 1.0}}, [embeds]))


def test_masks_equal_diffusers_where_they_are_constant_in_each_cell(both):
    a, b = both.vectors[:2]
    side = 128
    pictures = [half_mask(side, left=True), half_mask(side, left=False)]
    ours = both.run(
        both.terms(both.first, {"preset": "original"}, a[None], mask=mask_of(pictures[0])),
        both.terms(both.second, {"preset": "original"}, b[None], mask=mask_of(pictures[1])),
    )
    masks = [torch.from_numpy(np.asarray(p) / 255.0).float()[None, None] for p in pictures]
    close(ours, both.diffusers([0, 1], [1.0, 1.0], [by_rows(a), by_rows(b)], masks))


def test_swapped_blocks_add_the_picture_to_negative_rows_only(both):
    """The precise presets: what the oracle adds to every row, seen in negative rows alone."""
    a = both.vectors[0]
    ours = both.run(both.terms(both.first, {"preset": "style precise", "weight": 0}, a[None]))
    close(ours, both.plain())  # boost follows the weight
    unit = {"preset": "style precise", "weight": 0, "boost": 0.8}
    ours = both.run(both.terms(both.first, unit, a[None]))
    everywhere = a.expand(4, 1, EMBEDDING)
    scale = {"down": {"block_2": [0.2, 0.8]}}
    oracle = both.diffusers([0], scale, [everywhere])
    close(ours[2:], oracle[2:])
    assert torch.equal(ours[:2], both.plain()[:2])


def test_negative_rows_have_a_weight_and_a_picture_of_their_own(both):
    a, b = both.vectors[:2]
    ours = both.run(both.terms(both.first, {}, a[None], negative=b))
    embeds = torch.stack([a, a, b, b])[:, None]
    close(ours, both.diffusers([0], {"up": {"block_1": 1.0}}, [embeds]))
    off = both.run(both.terms(both.first, {"negative_weight": 0}, a[None]))
    close(off[2:], both.plain()[2:])
    close(off[:2], both.run(both.terms(both.first, {}, a[None]))[:2])


@FEW
@given(st.integers(2, 5), st.integers(0, 3))
def test_copies_of_one_picture_are_that_picture(both, copies, which):
    vector = both.vectors[which][None]
    once = both.run(both.terms(both.first, {}, vector))
    close(both.run(both.terms(both.first, {}, vector.expand(copies, -1))), once)


@FEW
@given(st.floats(-2, 2), st.floats(-2, 2))
def test_a_references_weight_scales_what_it_adds(both, first, second):
    """Side by side with equal keys, values add up linearly: half of each is the mean."""
    vector = both.vectors[0][None].expand(2, -1)
    ours = both.run(both.terms(both.first, {}, vector, weights=[first, second]))
    mean = both.run(both.terms(both.first, {}, vector[:1], weights=[(first + second) / 2]))
    close(ours[:2], mean[:2])


@FEW
@given(st.permutations(range(3)))
def test_the_order_of_units_does_not_matter(both, order):
    units = [
        both.terms(both.first, {"weight": 0.5}, both.vectors[:1]),
        both.terms(both.second, {"preset": "original"}, both.vectors[1:2]),
        both.terms(both.first, {"preset": "layout"}, both.vectors[2:4]),
    ]
    close(both.run(*[units[i] for i in order]), both.run(*units))


@FEW
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_masks_that_add_up_to_white_are_no_mask(both, width, height, seed):
    """Only where both regions show the same style can the picture tell: it must not."""
    values = np.random.default_rng(seed).random((height, width))
    one, other = Mask(values), Mask(1 - values)
    whole = both.terms(both.first, {}, both.vectors[:1])
    parts = [both.terms(both.first, {}, both.vectors[:1], mask=mask) for mask in (one, other)]
    close(both.run(*parts), both.run(whole))


def test_random_numbers_are_left_alone(both):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    both.run(both.terms(both.first, {"preset": "original"}, both.vectors[:2]))
    assert torch.equal(torch.get_rng_state(), before)
