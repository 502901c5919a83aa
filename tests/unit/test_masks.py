"""Masks on token grids of any size, by their own rule: the mean over each cell."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.masks import Mask, mask_of, token_grid

CPU = torch.device("cpu")


def grid(mask, height, width):
    return mask.on_grid(height, width, CPU, torch.float32).view(height, width).numpy()


@pytest.mark.parametrize(
    ("latent", "tokens", "expected"),
    [
        ((128, 128), 4096, (64, 64)),
        ((128, 128), 1024, (32, 32)),
        ((114, 143), 57 * 72, (57, 72)),  # 912 x 1144: each halving rounds up
        ((114, 143), 29 * 36, (29, 36)),
        ((143, 114), 36 * 29, (36, 29)),
        ((64, 64), 4096, (64, 64)),
        ((64, 64), 1000, None),
    ],
)
def test_the_grid_of_a_layer(latent, tokens, expected):
    assert token_grid(*latent, tokens) == expected


def test_a_cell_is_the_mean_of_what_lies_in_it():
    values = np.arange(24.0).reshape(4, 6) / 24
    means = grid(Mask(values), 2, 3)
    expected = values.reshape(2, 2, 3, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(means, expected, atol=1e-6)


def test_a_cell_takes_its_share_of_a_pixel_on_the_edge():
    """Three pixels on two cells: the middle one counts half in each."""
    np.testing.assert_allclose(grid(Mask(np.array([[0.0, 1.0, 1.0]])), 1, 2), [[1 / 3, 1.0]])
    np.testing.assert_allclose(
        grid(Mask(np.array([[0.0, 1.0]])), 1, 3), [[0.0, 0.5, 1.0]], atol=1e-6
    )


@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
)
def test_the_mean_of_a_mask_is_kept_on_every_grid(h, w, height, width, seed):
    values = np.random.default_rng(seed).random((h, w))
    cells = grid(Mask(values), height, width)
    assert cells.mean() == pytest.approx(values.mean(), abs=1e-5)
    assert cells.min() >= values.min() - 1e-5 and cells.max() <= values.max() + 1e-5


def test_a_part_of_the_picture_has_its_part_of_the_mask():
    values = np.random.default_rng(0).random((8, 8))
    part = Mask(values).within((0.25, 0.5, 0.75, 1.0))
    np.testing.assert_allclose(grid(part, 4, 4), values[4:8, 2:6], atol=1e-6)


def test_a_grid_is_made_once():
    mask = Mask(np.ones((4, 4)))
    assert mask.on_grid(2, 2, CPU, torch.float32) is mask.on_grid(2, 2, CPU, torch.float32)
    assert mask.on_grid(2, 2, CPU, torch.float16).dtype == torch.float16


def test_a_black_mask_is_refused():
    with pytest.raises(InstantStyleError, match="mask is black everywhere"):
        mask_of(Image.new("RGB", (8, 8)))
    np.testing.assert_allclose(grid(mask_of(Image.new("RGB", (3, 5), "white")), 2, 2), 1.0)


def test_only_a_very_large_mask_is_made_smaller_and_means_the_same():
    side = limits.MASK_SIDE
    shown = Image.new("L", (side, side))
    shown.paste(255, (0, 0, side // 2, side))
    as_it_is = mask_of(shown)
    assert as_it_is._values.shape == (side, side)
    large = mask_of(shown.resize((4 * side, 2 * side), Image.Resampling.NEAREST))
    assert max(large._values.shape) <= side
    for height, width in ((8, 8), (7, 16), (57, 72)):
        np.testing.assert_array_equal(grid(large, height, width), grid(as_it_is, height, width))
    ramp = Image.linear_gradient("L")
    exact = Mask(np.asarray(ramp, dtype=np.float64) / 255)
    many = mask_of(ramp.resize((256 * 30, 256 * 30), Image.Resampling.NEAREST))
    np.testing.assert_allclose(grid(many, 16, 16), grid(exact, 16, 16), atol=1 / 255)


@pytest.mark.parametrize("size", [(20, 30), (5000, 30)])
def test_a_black_mask_of_any_size_is_refused(size):
    with pytest.raises(InstantStyleError, match="mask is black everywhere"):
        mask_of(Image.new("L", size))
