"""Noise for the negative rows, against the published formulas written out in numpy."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

from lib_instantstyle.references.noise import NOISE_FUNCTIONS, displaced, gaussian_blur, noisy
from lib_instantstyle.units import choices
from tests.unit.pictures import noise

SIZE = 48


def picture(seed=0):
    return noise(8, 8, seed).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def blurred(array, width, sigma):
    """[C, H, W] with a square kernel, edges mirrored: torchvision's gaussian_blur."""
    reach = width // 2
    x = np.arange(width) - reach
    kernel = np.exp(-(x[:, None] ** 2 + x[None, :] ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = np.pad(array, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (width, width), axis=(1, 2))
    return (windows * kernel).sum((-2, -1))


def sampled(array, dx, dy):
    """[C, H, W] read dx, dy (in halves of the picture) beside each pixel: torchvision's elastic."""
    channels, height, width = array.shape
    around = np.zeros((channels + 1, height + 2, width + 2))  # last channel: what is covered
    around[:-1, 1:-1, 1:-1] = array
    around[-1, 1:-1, 1:-1] = 1
    out = np.zeros((channels + 1, height, width))
    for row in range(height):
        for column in range(width):
            y = row + dy[row, column] * height / 2 + 1
            x = column + dx[row, column] * width / 2 + 1
            for v in (int(np.floor(y)), int(np.floor(y)) + 1):
                for u in (int(np.floor(x)), int(np.floor(x)) + 1):
                    if 0 <= v < height + 2 and 0 <= u < width + 2:
                        share = (1 - abs(y - v)) * (1 - abs(x - u))
                        out[:, row, column] += share * around[:, v, u]
    return out[:-1] * out[-1]


class Published:
    """IPAdapter plus's node, on [3, S, S]; only the stream of random numbers is torch's."""

    def __init__(self, view, strength):
        array = np.asarray(view)
        self.image = array.transpose(2, 0, 1) / 255
        self.strength = strength
        seed = int(self.image.sum()) % 1000000007
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, channels=3):
        return torch.rand(1, channels, SIZE, SIZE, generator=self.generator)[0].double().numpy()

    def normal(self):
        return torch.randn(1, 3, SIZE, SIZE, generator=self.generator)[0].double().numpy()

    def fade(self):
        return self.image * (1 - self.strength) + self.uniform() * self.strength

    def dissolve(self):
        mask = self.uniform() < self.strength
        return self.image * ~mask + self.uniform() * mask

    def gaussian(self):
        return self.image + self.normal() * self.strength

    def shuffle(self):
        sigma = (1 - self.strength) * 3.5
        shifts = []
        for _ in "xy":
            shift = self.uniform(1) * 2 - 1
            if sigma:
                width = int(8 * sigma + 1)
                shift = blurred(shift, width + (width % 2 == 0), sigma)
            shifts.append(shift[0] * 75 / SIZE)
        turned = sampled(self.image, *shifts)[:, ::-1, ::-1]
        noise = self.normal() * (self.strength * 0.75)
        return turned * (1 - noise) + noise


@pytest.mark.parametrize("kind", NOISE_FUNCTIONS)
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("blur", [0, 7])
def test_noise_follows_the_published_formula(kind, strength, blur):
    view = picture()
    expected = np.clip(getattr(Published(view, strength), kind)(), 0, 1)
    if blur:
        expected = blurred(expected, blur, 0.3 * ((blur - 1) / 2 - 1) + 0.8)
    found = np.asarray(noisy(view, kind, strength, blur), float).transpose(2, 0, 1)
    assert np.abs(found - expected * 255).max() < 0.51  # rounded to 8 bit
    if strength or kind == "shuffle":
        assert np.abs(found - np.asarray(view, float).transpose(2, 0, 1)).mean() > 5


def test_the_kinds_are_those_that_a_unit_may_ask_for():
    assert {"none", *NOISE_FUNCTIONS} == set(choices.NOISES)


@pytest.mark.parametrize("kind", NOISE_FUNCTIONS)
def test_noise_depends_on_the_picture_alone_and_touches_nobody_elses_random_numbers(kind):
    torch.manual_seed(1)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    first = noisy(picture(), kind, 0.7, 3)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1] and (np.random.get_state()[1] == states[2]).all()
    torch.manual_seed(2)
    assert np.array_equal(np.asarray(first), np.asarray(noisy(picture(), kind, 0.7, 3)))
    assert not np.array_equal(np.asarray(first), np.asarray(noisy(picture(seed=1), kind, 0.7, 3)))


@pytest.mark.parametrize("blur", [2, 6, 32])
def test_an_even_blur_counts_as_the_next_odd_one(blur):
    even, odd = (noisy(picture(), "gaussian", 0.5, width) for width in (blur, blur + 1))
    assert np.array_equal(np.asarray(even), np.asarray(odd))


def test_no_noise_is_the_picture():
    for kind in ("fade", "dissolve", "gaussian"):
        assert np.array_equal(np.asarray(noisy(picture(), kind, 0.0)), np.asarray(picture()))


@pytest.mark.parametrize(("width", "sigma"), [(3, 0.8), (29, 3.5), (33, 5.3)])
def test_blur_keeps_flat_areas_and_equals_a_square_kernel(width, sigma):
    image = torch.rand(1, 2, 40, 44, generator=torch.Generator().manual_seed(0))
    found = gaussian_blur(image, width, sigma)[0]
    np.testing.assert_allclose(found, blurred(image[0].numpy(), width, sigma), atol=1e-5)
    flat = torch.full((1, 3, 40, 40), 0.5)
    torch.testing.assert_close(gaussian_blur(flat, width, sigma), flat)


def test_a_shift_by_whole_pixels_moves_the_picture():
    image = torch.rand(1, 3, 10, 20, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(displaced(image, torch.zeros(1, 10, 20, 2)), image, atol=1e-5)
    shifts = torch.zeros(1, 10, 20, 2)
    shifts[..., 0], shifts[..., 1] = 2 * 3 / 20, 2 * -2 / 10  # three to the right, two above
    found = displaced(image, shifts)
    torch.testing.assert_close(found[..., 2:, :17], image[..., :8, 3:], atol=1e-5, rtol=0)
    assert found[..., :2, :].abs().max() < 1e-5 and found[..., 17:].abs().max() < 1e-5
