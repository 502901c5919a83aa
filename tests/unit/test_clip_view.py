"""What CLIP sees of a picture, against transformers' preprocessing."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_instantstyle.clip.preprocess import MEAN, STD, clip_view
from lib_instantstyle.references.pictures import NOTHING
from tests.engine import clip_pixels
from tests.unit.image_processor import CLIPImageProcessor
from tests.unit.pictures import LEVEL, noise

ORACLE = CLIPImageProcessor()


def official(image):
    return ORACLE(image, return_tensors="pt")["pixel_values"]


SIZES = [(224, 224), (300, 200), (200, 301), (64, 48), (1000, 225), (17, 400), (1, 1), (10, 390),
         (224, 500), (500, 224), (223, 225), (3000, 2000)]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_pixels_equal_the_official_preprocessing(size):
    image = noise(*size)
    ours, oracle = clip_pixels(image, 224), official(image)
    assert ours.shape == oracle.shape == (1, 3, 224, 224) and ours.dtype == torch.float32
    torch.testing.assert_close(ours, oracle, atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 5))
def test_pixels_of_any_size_equal_the_official_preprocessing(width, height, seed):
    assume(max(width, height) <= 40 * min(width, height))
    image = noise(width, height, seed)
    torch.testing.assert_close(clip_pixels(image, 224), official(image), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 300), (1200, 7), (20_000, 50), (50, 20_000), (41 * 9, 9)])
def test_pixels_of_a_hair_are_within_one_level(size):
    image = noise(*size)
    difference = (clip_pixels(image, 224) - official(image)).abs()
    assert difference.max() <= LEVEL
    assert (difference > LEVEL / 10).float().mean() < 1e-3


@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (2_000_000, 3)])
def test_a_picture_like_a_hair_is_not_enlarged_as_a_whole(size, monkeypatch):
    """Whole, the second would take 9 GB. Everything Pillow makes on the way is counted."""
    made = []
    for name in ("crop", "resize"):
        real = getattr(Image.Image, name)

        def counted(self, *arguments, real=real, **options):
            result = real(self, *arguments, **options)
            made.append(result.width * result.height)
            return result

        monkeypatch.setattr(Image.Image, name, counted)
    image = noise(*size)
    view = clip_view(image)
    assert view.size == (224, 224) and sum(made) < 224 * 224 + 10_000
    short = min(size)
    middle = (max(size) - short) // 2
    square = [middle, middle + short]
    box = (
        (square[0], 0, square[1], short) if size[0] > size[1] else (0, square[0], short, square[1])
    )
    near = np.asarray(image.crop(box), dtype=float).mean()
    assert abs(np.asarray(view, dtype=float).mean() - near) < 25


def test_long_pictures_use_the_right_pixels_far_from_the_edge():
    """A white mark in the middle of three million pixels comes out in the middle."""
    pixels = np.zeros((3, 3_000_001, 3), np.uint8)
    pixels[:, 1_500_000] = 255
    columns = np.asarray(clip_view(Image.fromarray(pixels)), dtype=float)[:, :, 0].mean(axis=0)
    assert columns.max() > 200
    assert abs(np.average(np.arange(224), weights=columns) - 111.5) < 1.5


def test_the_preview_is_exactly_what_goes_into_the_encoder():
    image = noise(900, 401)
    view = clip_view(image)
    assert view.mode == "RGB"
    array = np.asarray(view, dtype=np.float32) / 255
    expected = (array - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    assert np.array_equal(clip_pixels(image, 224)[0].numpy(), expected.transpose(2, 0, 1))
    assert clip_view(image, 336).size == (336, 336)


def test_the_colour_of_nothing_is_the_zero_image():
    flat = Image.new("RGB", (50, 60), NOTHING)
    assert clip_pixels(flat, 224).abs().max() <= LEVEL / 2
    assert NOTHING == (123, 117, 104)
