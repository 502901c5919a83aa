"""The palette: whitening and colouring of latents against numpy, and the steps in which it acts.

Source: SADis (arXiv 2503.14275), util/wct.py: M = Cs^(1/2) (Cz + I)^(-1/2).
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lib_instantstyle.methods.palette import Source, moved
from lib_instantstyle.methods.recolouring import (
    WINDOW,
    Colours,
    Window,
    colours,
    in_words,
    pooled,
    recoloured,
    steps_in_window,
)
from lib_instantstyle.unet.masks import Mask


def latents(seed, count=1, height=24, width=16, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, height, width, generator=generator, dtype=torch.float64)
    mix = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    shift = torch.randn(4, 1, 1, generator=generator, dtype=torch.float64)
    return scale * torch.einsum("ij,bjhw->bihw", mix, x) + shift


def power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T


def wct(x, style, identity=1.0):
    """The published function on [C, N], in numpy."""
    c, s = np.cov(x), np.cov(style)
    m = power(s, 0.5) @ power(c + identity * np.eye(len(c)), -0.5)
    return m @ (x - x.mean(1, keepdims=True)) + style.mean(1, keepdims=True), m


def test_it_is_the_published_transform():
    x, style = latents(1), latents(2)
    expected, m = wct(x[0].flatten(1).numpy(), style[0].flatten(1).numpy())
    found = recoloured(x, colours(style))[0].flatten(1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found.mean(1), style.mean((0, 2, 3)).numpy(), atol=1e-13)
    own = np.cov(x[0].flatten(1).numpy())
    np.testing.assert_allclose(np.cov(found), m @ own @ m.T, atol=1e-12)


def test_each_image_of_a_batch_has_statistics_of_its_own():
    x, style = latents(3, count=3), latents(4)
    together = recoloured(x, colours(style))
    for i in range(3):
        alone = recoloured(x[i : i + 1], colours(style))
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-12, rtol=0)


def test_statistics_of_the_whole_are_numpy_s_and_those_of_a_mask_its_cells():
    x = latents(5)
    found = colours(x)
    np.testing.assert_allclose(found.covariance[0], np.cov(x[0].flatten(1)), atol=1e-13)
    mask = torch.zeros(1, 1, 24, 16, dtype=torch.float64)
    mask[..., :9, 3:] = 1
    inside = x[0][:, :9, 3:].flatten(1).numpy()
    marked = colours(x, mask)
    np.testing.assert_allclose(marked.covariance[0], np.cov(inside), atol=1e-12)
    np.testing.assert_allclose(marked.mean[0], inside.mean(1), atol=1e-13)


def test_several_references_are_one_picture_of_all():
    a, b = latents(6), latents(7)
    together = colours(torch.cat([a, b], dim=3))
    found = pooled([colours(a), colours(b)], [1, 1])
    torch.testing.assert_close(found.mean, together.mean, atol=1e-12, rtol=0)
    # Exact but for the degree of freedom that each picture has of its own.
    torch.testing.assert_close(found.covariance, together.covariance, rtol=0.01, atol=0.02)
    alone = pooled([colours(a), colours(b)], [1, 0])
    torch.testing.assert_close(alone.covariance, colours(a).covariance)


def source(palette, mask=None, number=1):
    return Source(SimpleNamespace(palette=palette, number=number), (), None, mask)


def box(first, last):
    values = np.zeros((24, 16))
    values[first:last] = 1
    return Mask(values)


def test_the_strength_blends_and_0_changes_nothing():
    x, wanted = latents(8).float(), colours(latents(9))
    whole = recoloured(x, wanted)
    assert torch.equal(moved(x, [(source(0.0), wanted)]), x)
    torch.testing.assert_close(moved(x, [(source(0.4), wanted)]), x + 0.4 * (whole - x))
    torch.testing.assert_close(moved(x, [(source(1.0), wanted)]), whole)


def test_several_units_do_not_depend_on_their_order():
    x = latents(10).float()
    one = (source(0.9), colours(latents(11)))
    two = (source(0.6, number=2), colours(latents(12)))
    torch.testing.assert_close(moved(x, [one, two]), moved(x, [two, one]))
    expected = (0.9 * recoloured(x, one[1]) + 0.6 * recoloured(x, two[1])) / 1.5
    torch.testing.assert_close(moved(x, [one, two]), expected, atol=1e-5, rtol=0)


def test_a_mask_keeps_the_rest_bit_for_bit():
    x, wanted = latents(13).float(), colours(latents(14))
    found = moved(x, [(source(1.0, box(0, 10)), wanted)])
    assert torch.equal(found[:, :, 10:], x[:, :, 10:])
    torch.testing.assert_close(found[:, :, :10], recoloured(x[:, :, :10], wanted))


def test_inpainting_moves_and_counts_what_it_paints_only():
    x, wanted = latents(15).float(), colours(latents(16))
    painted = torch.zeros(1, 1, 24, 16)
    painted[:, :, 4:] = 1
    found = moved(x, [(source(1.0), wanted)], painted)
    assert torch.equal(found[:, :, :4], x[:, :, :4])
    torch.testing.assert_close(found[:, :, 4:], recoloured(x[:, :, 4:], wanted))
    outside = (source(1.0, box(0, 4)), wanted)
    assert torch.equal(moved(x, [outside], painted), x)


def test_a_part_of_the_picture_sees_its_part_of_the_mask():
    x, wanted = latents(17).float(), colours(latents(18))
    region = (0.0, 0.5, 1.0, 1.0)  # the lower half, sampled alone
    found = moved(x, [(source(1.0, box(0, 18)), wanted)], None, region)
    assert torch.equal(found[:, :, 12:], x[:, :, 12:])
    assert not torch.equal(found[:, :, :12], x[:, :, :12])


def test_each_image_gets_the_colours_of_its_own_reference():
    x = latents(19, count=3).float()
    one, two = colours(latents(20)), colours(latents(21))
    each = Colours(torch.cat([one.mean, two.mean]), torch.cat([one.covariance, two.covariance]))
    found = moved(x, [(source(1.0), each)])
    for i, wanted in enumerate((one, two, one)):
        torch.testing.assert_close(found[i : i + 1], recoloured(x[i : i + 1], wanted))


@pytest.mark.parametrize("flat", ["picture", "reference"])
def test_a_flat_latent_stays_finite(flat):
    x, style = latents(22), latents(23)
    if flat == "picture":
        x = torch.full_like(x, 0.3)
    else:
        style = torch.full_like(style, -0.2)
    found = recoloured(x, colours(style))
    assert found.isfinite().all()
    torch.testing.assert_close(found.mean((0, 2, 3)), style.mean((0, 2, 3)))


def test_it_draws_no_random_number_and_keeps_the_type():
    x, wanted = latents(24).half(), colours(latents(25))
    state = torch.random.get_rng_state()
    found = moved(x, [(source(1.0), wanted)])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert found.dtype == torch.float16
    assert torch.equal(found, moved(x, [(source(1.0), wanted)]))


class Counting(TorchDispatchMode):
    """Counts the elements that all operations make."""

    made = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for each in found if isinstance(found, (tuple, list)) else (found,):
            fresh = isinstance(each, torch.Tensor) and not each._is_view()
            self.made += each.numel() if fresh else 0
        return found


def test_a_step_is_a_few_passes_over_the_latent():
    """0.4 ms at 128 x 128 on one core, where a UNet call takes seconds."""
    x, wanted = latents(26, height=128, width=128).float(), colours(latents(27))
    with Counting() as counting:
        moved(x, [(source(1.0), wanted)])
    assert x.numel() < counting.made < 32 * x.numel()


@pytest.mark.parametrize("steps", [*range(1, 41), 50, 100, 150])
def test_there_is_always_a_step(steps):
    found = steps_in_window(steps)
    assert found and found == list(range(found[0], found[-1] + 1))
    if steps >= 5:
        inside = [i + 1 for i in range(steps) if WINDOW[0] <= i / steps + 1e-9 < WINDOW[1]]
        assert found == inside


@pytest.mark.parametrize(
    ("fractions", "expected"),
    [
        ([0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75], [0, 0, 1, 1, 1, 1, 0, 0]),  # two a step
        ([0.0, 0.05, 0.15, 0.7, 0.9], [0, 0, 0, 1, 0]),  # an adaptive sampler leaps over it
        ([0.0, 0.1, 0.65, 0.65, 0.9], [0, 0, 1, 1, 0]),
        ([0.0, 0.5], [0, 1]),
        ([0.0], [1]),
    ],
)
def test_evaluations_in_the_window(fractions, expected):
    window = Window(len(set(fractions)))
    assert [window.holds(fraction) for fraction in fractions] == list(map(bool, expected))


def test_steps_in_words():
    assert in_words([5, 6, 7], 20) == "5 to 7 of 20"
    assert in_words([1], 1) == "1 of 1"
