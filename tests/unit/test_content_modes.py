"""The ways to take content out of an image vector, against numpy."""

import math

import numpy as np
import pytest
import torch

from lib_instantstyle.content.modes import (
    CONTENT_FUNCTIONS,
    mask_size,
    masked_elements,
    remove_content,
)
from lib_instantstyle.units.choices import CONTENT_MODES
from tests.unit.content_oracles import maskst, remove_subspace, split2

WIDTHS = (64, 768, 1024, 1280)
SHARES = (0.01, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0)
SCALES = (0.3, 0.5, 1.0, 1.7)


def vectors(count, width=1280, seed=0, like=0.4):
    """An image vector and `count` texts, each a little like it; float32, of CLIP's lengths."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(width, generator=generator)
    texts = like * image + torch.randn(count, width, generator=generator)
    return image * 0.8, texts * 0.3


def masked(image, texts, scale=1.0, share=0.2):
    return remove_content(image, list(texts), scale, "mask", share)


def spanned(image, texts, scale=1.0):
    return remove_content(image, list(texts), scale, "subspace", 0.2)


def test_every_mode_that_a_unit_may_ask_for_exists():
    assert set(CONTENT_FUNCTIONS) == set(CONTENT_MODES)


@pytest.mark.parametrize("mode", CONTENT_MODES)
def test_nothing_to_take_out_is_the_same_tensor(mode):
    image, texts = vectors(2)
    assert remove_content(image, list(texts), 0.0, mode, 0.2) is image
    assert remove_content(image, [], 1.0, mode, 0.2) is image


@pytest.mark.parametrize("mode", CONTENT_MODES)
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_vector_of_zeros_stays_finite_and_as_it_is(mode, share):
    image, texts = vectors(2)
    zeros = torch.zeros_like(image)
    assert torch.equal(remove_content(image, [zeros], 1.0, mode, share), image)
    assert torch.equal(remove_content(image, [zeros, zeros], 1.0, mode, share), image)
    if mode != "difference":  # which moves every vector alike
        assert torch.equal(remove_content(zeros, list(texts), 1.0, mode, share), zeros)
    left = remove_content(image, [texts[0], zeros], 1.0, mode, share)
    assert torch.isfinite(left).all() and not torch.equal(left, image)


@pytest.mark.parametrize("mode", CONTENT_MODES)
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_several_images_are_each_what_they_are_alone(mode, share):
    image, texts = vectors(2)
    other, _ = vectors(2, seed=5)
    both = remove_content(torch.stack([image, other]), list(texts), 0.7, mode, share)
    for one, left in zip((image, other), both):
        alone = remove_content(one, list(texts), 0.7, mode, share)
        torch.testing.assert_close(left, alone, rtol=1e-5, atol=1e-6)


# -- mask -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("scale", SCALES)
def test_the_mask_is_that_of_the_published_scripts(width, share, scale):
    image, (text,) = vectors(1, width, seed=width)
    expected = maskst(image.double().numpy(), text.double().numpy(), 1 - share, scale)
    np.testing.assert_allclose(masked(image, [text], scale, share), expected, atol=1e-6)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("share", SHARES)
def test_as_many_elements_are_masked_as_the_formula_says(width, share):
    image, texts = vectors(1, width)
    count = int(masked_elements(image, texts, share).sum())
    assert count == mask_size(width, share) == width - math.floor((1 - share) * (width - 1)) - 1


@pytest.mark.parametrize(
    ("width", "share", "count"),
    [(1280, 0.2, 256), (1280, 0.1, 128), (1024, 0.3, 307), (1024, 0.2, 205), (768, 0.2, 154)],
)
def test_the_counts_of_the_published_settings(width, share, count):
    assert mask_size(width, share) == count
    assert int(masked_elements(*vectors(1, width), share).sum()) == count


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_masked_elements_are_0_and_the_others_bit_identical(share):
    image, texts = vectors(1)
    where = masked_elements(image, texts, share)
    left = masked(image, texts, 1.0, share)
    assert 0 < int(where.sum()) < len(image)
    assert not left[where].any() and torch.equal(left[~where], image[~where])
    half = masked(image, texts, 0.5, share)
    assert torch.equal(half[where], image[where] / 2) and torch.equal(half[~where], image[~where])


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_the_length_of_either_vector_does_not_matter(share):
    image, texts = vectors(2)
    where = masked_elements(image, texts, share)
    for factor in (0.25, 3.7, 1e-3, 812.0):
        assert torch.equal(masked_elements(image * factor, texts, share), where)
        assert torch.equal(masked_elements(image, texts * factor, share), where)
    assert not torch.equal(masked_elements(-image, texts, share), where)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_the_mask_moves_with_the_elements(share):
    image, texts = vectors(2)
    order = torch.randperm(len(image), generator=torch.Generator().manual_seed(3))
    where = masked_elements(image, texts, share)
    assert torch.equal(masked_elements(image[order], texts[:, order], share), where[order])


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_the_masks_of_several_texts_are_united(share):
    image, texts = vectors(3)
    alone = [masked_elements(image, text[None], share) for text in texts]
    assert torch.equal(masked_elements(image, texts, share), alone[0] | alone[1] | alone[2])
    for order in ([2, 0, 1], [0, 1, 2, 2, 0]):
        assert torch.equal(
            masked(image, texts[order], 1.0, share), masked(image, texts, 1.0, share)
        )


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_what_the_image_has_of_the_text_does_not_grow(share):
    image, (text,) = vectors(1)
    before = float(image @ text)
    found = [float(masked(image, [text], scale, share) @ text) for scale in (0.25, 0.5, 1.0)]
    assert before > found[0] > found[1] > found[2]
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(masked(image, [text], 1.0, share), text, dim=0) < cosine(image, text, dim=0) / 2


@pytest.mark.parametrize("width", [2, 3, 17, 64, 400])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("like", [0.0, 0.4, 3.0])
def test_a_share_of_0_is_the_best_of_all_splits_in_two(width, seed, like):
    image, (text,) = vectors(1, width, seed, like)
    e1, e2 = image.double().numpy(), text.double().numpy()
    p = e1 / np.linalg.norm(e1) * (e2 / np.linalg.norm(e2))
    assert np.array_equal(masked_elements(image, text[None], 0.0).numpy(), p > split2(p))


# -- subspace -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("scale", SCALES)
def test_the_subspace_is_that_of_numpys_svd(count, scale):
    image, texts = vectors(count, seed=count)
    expected = remove_subspace(image.double().numpy(), texts.double().numpy(), scale)
    np.testing.assert_allclose(spanned(image, texts, scale), expected, atol=1e-6)


def test_nothing_is_left_along_each_word_where_the_projection_leaves_much():
    image, texts = vectors(3)
    lengths = image.norm() * texts.norm(dim=1)
    assert ((spanned(image, texts) @ texts.T).abs() / lengths < 1e-6).all()
    averaged = remove_content(image, list(texts), 1.0, "projection", 0.2)
    assert ((averaged @ texts.T).abs() / lengths).max() > 1e-2


def test_taken_out_twice_it_is_taken_out_once():
    image, texts = vectors(3)
    once = spanned(image, texts)
    torch.testing.assert_close(spanned(once, texts), once, rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", [[2, 0, 1], [0, 0, 1, 2], [0, 1, 2, 2, 1, 0], [1, 2, 0, 0, 0]])
def test_order_and_repetition_of_words_do_not_matter(order):
    image, texts = vectors(3)
    found = spanned(image, texts[order])
    torch.testing.assert_close(found, spanned(image, texts), rtol=0, atol=1e-6)


def test_words_that_mean_the_same_are_one():
    """The difference of two nearly parallel texts is no direction of its own."""
    image, (text, other) = vectors(2)
    twice = torch.stack([text, text + 1e-5 * other])
    torch.testing.assert_close(spanned(image, twice), spanned(image, [text]), rtol=0, atol=1e-4)


def test_one_word_is_what_the_projection_takes_out():
    image, texts = vectors(1)
    for scale in SCALES:
        expected = remove_content(image, list(texts), scale, "projection", 0.2)
        torch.testing.assert_close(spanned(image, texts, scale), expected, rtol=0, atol=1e-6)


def test_words_that_span_everything_leave_nothing():
    image, texts = vectors(24, width=24)
    assert spanned(image, texts).abs().max() < 1e-5


# -- what older pictures were made with -----------------------------------------------------------


def before(image, texts, scale, mode):
    """The two modes as version 0.1.0 computed them."""
    text = torch.stack(list(texts)).mean(dim=0)
    if mode == "projection":
        unit = text / text.norm().clamp_min(torch.finfo(text.dtype).tiny)
        text = (image @ unit).unsqueeze(-1) * unit
    return image - scale * text


@pytest.mark.parametrize("mode", ["difference", "projection"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_older_modes_are_bit_identical(mode, count):
    image, texts = vectors(count)
    images = torch.stack([image, image.flip(0)])
    for scale in SCALES:
        found = remove_content(images, list(texts), scale, mode, 0.7)
        assert torch.equal(found, before(images, texts, scale, mode))
