"""Colours of one reference, texture of another: the sum and the damping against numpy.

Source: SADis (arXiv 2503.14275), ip_adapter/ip_adapter.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.methods.ip_adapter.colour_texture import (
    check_sides,
    damped,
    inputs_of_sides,
    separated,
)
from lib_instantstyle.references.pictures import Picture
from tests.units import parse_unit

SHAPES = [(9, 6), (257, 32), (24,)]  # hidden states of few and many tokens, an image vector


def features(shape, *seeds):
    return [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]


def unit(combine="colour + texture", **fields):
    return parse_unit({"image": ["one"], "combine": combine, **fields})


def published_damping(grey, flat, damping):
    """Rows stacked, transposed, decomposed; the first columns taken back."""
    stack = np.concatenate([np.atleast_2d(grey), np.atleast_2d(flat)]).astype(np.float64).T
    u, s, v = np.linalg.svd(stack, full_matrices=False)
    columns = u @ np.diag(s * np.exp(-damping * s)) @ v
    return columns[:, : len(np.atleast_2d(grey))].T.reshape(grey.shape)


@pytest.mark.parametrize("damping", [0.003, 0.008, 0.1])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_damping_is_the_published_one(shape, damping):
    grey, flat = features(shape, 1, 2)
    expected = published_damping(grey.numpy(), flat.numpy(), damping)
    np.testing.assert_allclose(damped(grey, flat, damping), expected, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_damping_is_the_identity(shape):
    grey, flat = features(shape, 1, 2)
    assert torch.equal(damped(grey, flat, 0), grey)
    torch.testing.assert_close(damped(grey, flat, 1e-12), grey, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_sum(shape):
    colour, grey, texture, flat = features(shape, 1, 2, 3, 4)
    given = unit(colour_strength=1.3, texture_strength=0.7, texture_damping=0.01)
    found = separated(given, [colour, grey, texture, flat], [0.5, 2.0])
    expected = 0.65 * (colour - grey).numpy()
    expected = expected + 1.4 * published_damping(texture.numpy(), flat.numpy(), 0.01)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    alone = separated(unit("colour", colour_strength=1.3), [colour, grey], [0.5])
    torch.testing.assert_close(alone, 0.65 * (colour - grey))
    alone = separated(unit("texture", texture_damping=0), [texture, flat], [1.0])
    torch.testing.assert_close(alone, texture)


def test_a_grey_copy_equal_to_the_picture_leaves_nothing():
    (colour,) = features((9, 6), 1)
    assert not separated(unit("colour"), [colour, colour.clone()], [1.0]).any()


def test_one_picture_for_both_without_damping_is_the_picture():
    colour, grey, flat = features((9, 6), 1, 2, 3)
    given = unit(colour_strength=1, texture_strength=1, texture_damping=0)
    torch.testing.assert_close(separated(given, [colour, grey, grey, flat], [1, 1]), colour)


def picture(name, image):
    return Picture(image, name, b"")


def test_what_the_encoder_sees():
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    coloured, other = (
        picture(n, Image.fromarray(a)) for n, a in (("a", noise), ("b", 255 - noise))
    )
    inputs = inputs_of_sides(unit(), [coloured, other], None)
    assert len({each.key for each in inputs}) == 4
    plain, grey, texture, flat = (each.pixels(32) for each in inputs)
    mean, std = (torch.tensor(v)[:, None, None] for v in (
        [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]))  # fmt: skip
    levels = grey[0] * std + mean
    torch.testing.assert_close(levels[0], levels[1], atol=1e-5, rtol=0)
    assert not torch.allclose(plain, grey)
    middle = (texture[0] * std + mean).mean()
    torch.testing.assert_close(
        flat[0] * std + mean, middle.expand(3, 32, 32), atol=0.5 / 255 + 1e-5, rtol=0
    )


def test_a_grey_picture_and_its_copy_are_the_same_pixels():
    levels = np.random.default_rng(1).integers(0, 256, (40, 40), dtype=np.uint8)
    grey = picture("g", Image.fromarray(np.stack([levels] * 3, axis=2)))
    plain, copy = (each.pixels(40) for each in inputs_of_sides(unit("colour"), [grey], None))
    assert torch.equal(plain, copy)


@pytest.mark.parametrize(
    ("combine", "count", "sentence"),
    [
        ("colour + texture", 1, "takes two references: the first gives the colours, the second"),
        ("colour + texture", 3, "; 3 came"),
        ("colour", 2, "'colour', which takes one reference, which gives its colour alone; 2 came"),
        ("texture", 4, "one reference, which gives its texture alone; 4 came"),
    ],
)
def test_another_number_of_references_is_refused(combine, count, sentence):
    with pytest.raises(InstantStyleError, match=sentence.replace("+", r"\+")):
        check_sides(unit(combine), count)


@pytest.mark.parametrize("combine", ["concat", "average", "each"])
def test_other_ways_to_combine_take_any_number(combine):
    for count in (1, 2, 5):
        check_sides(unit(combine), count)
