"""Crops, sharpening and masks of references, against transformers' preprocessing and formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch.nn import functional as F

from lib_instantstyle.clip.preprocess import clip_view, normalised
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.references.crops import (
    CROP_FUNCTIONS,
    MOST_TILES,
    crop_views,
    masked,
    reference_views,
    sharpened,
    square_box,
)
from lib_instantstyle.references.pictures import NOTHING
from lib_instantstyle.units import choices
from tests.engine import clip_pixels
from tests.unit.image_processor import CLIPImageProcessor
from tests.unit.pictures import LEVEL, noise

SIZES = [(300, 200), (200, 301), (64, 48), (1000, 225), (17, 400), (224, 224), (3, 1)]


def official(image, **options):
    return CLIPImageProcessor(**options)(image, return_tensors="pt")["pixel_values"]


def pixels(image, crop, size=224):
    return normalised(crop_views(image, crop, size))


def test_the_crops_are_those_that_a_unit_may_ask_for():
    assert set(CROP_FUNCTIONS) == set(choices.CROPS)


@pytest.mark.parametrize("size", SIZES)
def test_center_is_the_official_preprocessing(size):
    image = noise(*size)
    torch.testing.assert_close(pixels(image, "center"), official(image), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_stretch_is_the_official_resize_without_its_crop(size):
    image = noise(*size)
    expected = official(image, size={"height": 224, "width": 224}, do_center_crop=False)
    torch.testing.assert_close(pixels(image, "stretch"), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_pad_is_the_whole_picture_and_nothing_around_it(size):
    image = noise(*size)
    long = max(size)
    width, height = (max(1, round(224 * side / long)) for side in size)
    inside = official(image, size={"height": height, "width": width}, do_center_crop=False)
    left, top = (224 - width) // 2, (224 - height) // 2
    expected = F.pad(inside, (left, 224 - width - left, top, 224 - height - top))
    found = pixels(image, "pad")
    around = expected == 0
    torch.testing.assert_close(found[~around], expected[~around], atol=1e-5, rtol=0)
    assert found[around].abs().max() <= LEVEL / 2 if around.any() else size == (224, 224)


@pytest.mark.parametrize(
    ("size", "begins"),
    [
        ((300, 200), [0, 100]),
        ((200, 301), [0, 101]),
        ((200, 400), [0, 200]),
        ((500, 200), [0, 150, 300]),
        ((221, 200), [0, 21]),
        ((100, 799), [0, 100, 200, 300, 399, 499, 599, 699]),
    ],
)
def test_tiles_are_the_official_preprocessing_of_squares_from_edge_to_edge(size, begins):
    image = noise(*size)
    array, side = np.asarray(image), min(size)
    cut = (lambda b: array[:, b : b + side]) if size[0] > size[1] else lambda b: array[b : b + side]
    expected = torch.cat([official(Image.fromarray(cut(b))) for b in begins])
    torch.testing.assert_close(pixels(image, "tiles"), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(200, 200), (219, 200), (200, 219), (1, 1)])
def test_a_picture_that_is_nearly_square_has_one_tile_its_middle(size):
    image = noise(*size)
    assert torch.equal(pixels(image, "tiles"), clip_pixels(image, 224))


@given(st.integers(1, 3000), st.integers(1, 40))
def test_tiles_leave_no_gap_and_are_no_more_than_that_takes(long, short):
    short = min(long, short)
    count = len(crop_views(Image.new("RGB", (long, short)), "tiles", 8))
    assert (count - 1) * short < long
    assert count * short >= long or count == MOST_TILES or (count == 1 and long < 1.1 * short)


@pytest.mark.parametrize("crop", CROP_FUNCTIONS)
@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (300, 7)])
def test_a_picture_like_a_hair_costs_no_more_than_any_other(crop, size):
    views = crop_views(noise(*size), crop, 64)
    assert {view.size for view in views} == {(64, 64)} and len(views) <= MOST_TILES


# Sharpening


def reference_sharpening(image, amount):
    """IPAdapter plus's formula, written out: a b c / d e f / g h i around each pixel e."""
    x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 255
    around = F.unfold(F.pad(x, (1, 1, 1, 1)).transpose(0, 1), 3)
    a, b, c, d, e, f, g, h, i = around.view(3, 9, *x.shape[-2:]).unbind(1)
    cross, corners = torch.stack([b, d, e, f, h]), torch.stack([a, c, g, i])
    least = cross.amin(0) + corners.amin(0)
    most = cross.amax(0) + corners.amax(0)
    w = -torch.sqrt(torch.minimum(least, 2 - most) / most) * (amount * (1 / 5 - 1 / 8) + 1 / 8)
    out = torch.nan_to_num(((b + d + f + h) * w + e) / (1 + 4 * w)).clamp(0, 1)
    return (out * 255).round().permute(1, 2, 0).numpy()


def smooth(width, height):
    small = noise(max(1, width // 8), max(1, height // 8), seed=3)
    return small.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("amount", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("make", [noise, smooth, lambda *size: Image.new("RGB", size)])
def test_sharpening_follows_the_published_formula(amount, make):
    image = make(60, 40)
    difference = np.asarray(sharpened(image, amount), float) - reference_sharpening(image, amount)
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 1e-3  # of 8-bit levels


def test_more_sharpening_is_sharper_and_none_is_none():
    image = smooth(64, 64)
    assert sharpened(image, 0) is image
    edges = [
        np.abs(np.diff(np.asarray(sharpened(image, amount), float), axis=1)).mean()
        for amount in (0, 0.3, 1)
    ]
    assert 1.01 * edges[0] < edges[1] and 1.01 * edges[1] < edges[2]


# The part that counts


def painted(size, box, soft=False):
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    return mask.resize(size, Image.Resampling.BILINEAR) if soft else mask


def test_what_does_not_count_is_zero_for_clip_and_what_counts_is_untouched():
    image = noise(400, 300)
    mask = painted((400, 300), (100, 80, 200, 180))
    ImageDraw.Draw(mask).rectangle((140, 120, 159, 139), fill=0)  # a hole
    found = masked(image, mask)
    assert found.size == (100, 100)
    expected = np.asarray(image)[80:180, 100:200].copy()
    expected[40:60, 40:60] = NOTHING
    assert np.array_equal(np.asarray(found), expected)
    hole = normalised(reference_views(image, mask=mask))[..., 98:126, 98:126]
    assert hole.abs().max() <= LEVEL / 2


def test_grey_mixes_the_picture_with_nothing():
    image = Image.new("RGB", (50, 50), (255, 0, 0))
    found = np.asarray(masked(image, Image.new("L", (50, 50), 102)), float)[25, 25]
    np.testing.assert_allclose(found, 0.4 * np.array([255, 0, 0]) + 0.6 * np.array(NOTHING), atol=1)


def test_a_mask_of_another_size_is_resized_and_its_edge_is_soft():
    image = Image.new("RGB", (400, 200), (255, 255, 255))
    found = np.asarray(masked(image, painted((8, 4), (2, 1, 4, 3))), float)[:, :, 0]
    assert 100 < found.shape[0] <= 140  # the mark of 100 pixels, and its soft edge
    row = found[found.shape[0] // 2]
    assert row.max() == 255 and (np.diff(row[: len(row) // 2]) >= 0).all()
    assert ((row > NOTHING[0] + 10) & (row < 245)).sum() > 10


@pytest.mark.parametrize(
    ("box", "size", "expected"),
    [
        ((10, 10, 30, 20), (100, 100), (10, 5, 30, 25)),
        ((10, 10, 20, 30), (100, 100), (5, 10, 25, 30)),
        ((0, 0, 40, 10), (100, 100), (0, 0, 40, 40)),
        ((60, 90, 100, 100), (100, 100), (60, 60, 100, 100)),
        ((0, 10, 90, 20), (100, 40), (0, 0, 90, 40)),
        ((3, 3, 4, 4), (10, 10), (3, 3, 4, 4)),
    ],
)
def test_the_box_is_square_as_far_as_the_picture_reaches(box, size, expected):
    assert square_box(box, size) == expected


@given(st.data())
def test_a_square_box_holds_the_box_and_stays_in_the_picture(data):
    width, height = data.draw(st.tuples(st.integers(1, 300), st.integers(1, 300)))
    left, top = data.draw(st.tuples(st.integers(0, width - 1), st.integers(0, height - 1)))
    right, bottom = (
        data.draw(st.integers(left + 1, width)),
        data.draw(st.integers(top + 1, height)),
    )
    x0, y0, x1, y1 = square_box((left, top, right, bottom), (width, height))
    assert 0 <= x0 <= left and 0 <= y0 <= top and right <= x1 <= width and bottom <= y1 <= height
    side = max(right - left, bottom - top)
    assert (x1 - x0, y1 - y0) == (min(side, width), min(side, height))


@pytest.mark.parametrize("level", [0, 25])
def test_a_mask_that_marks_nothing_is_an_error(level):
    with pytest.raises(InstantStyleError, match="reference_mask is black everywhere"):
        masked(noise(20, 20), Image.new("RGB", (10, 10), (level,) * 3))


def test_a_white_mask_changes_nothing():
    image = noise(300, 200)
    (view,) = reference_views(image, mask=Image.new("L", (10, 10), 255))
    assert np.array_equal(np.asarray(view), np.asarray(clip_view(image)))


def test_masked_then_cropped_then_sharpened():
    image, mask = smooth(300, 200), painted((300, 200), (0, 50, 300, 100))
    views = reference_views(image, 64, "tiles", 0.5, mask)
    expected = [sharpened(view, 0.5) for view in crop_views(masked(image, mask), "tiles", 64)]
    assert len(views) == 2
    for view, other in zip(views, expected):
        assert np.array_equal(np.asarray(view), np.asarray(other))
