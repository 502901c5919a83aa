"""The plain picture that is followed beside a sampler, and what is kept of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.methods.plain_picture import (
    KeptLayout,
    PlainPicture,
    locked_steps,
    step_taken,
)

SHAPE = (2, 4, 16, 16)
SIGMAS = (14.6, 9.0, 5.5, 3.2, 1.8, 0.9, 0.3)


def latents(seed):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def plain_model(x, sigma):
    """A denoiser that is not linear in its input."""
    return torch.tanh(x / (1 + sigma)) * 0.7 + 0.1 * x.roll(1, 3) / (1 + sigma**2)


def styled_model(x, sigma):
    return plain_model(x, sigma) + 0.4 * torch.sin(3 * x / (1 + sigma)) + 0.2


# Steps of samplers, each on its own: x and D's -> x'. Written from their formulas (Karras et al.
# 2022, arXiv 2206.00364; Lu et al. 2022, arXiv 2211.01095).


def euler(x, predicted, now, after, rng):
    return x + (x - predicted[0]) / now * (after - now)


def second_order(x, predicted, now, after, rng):
    """DPM++ 2M."""
    ratio = after / now
    newest = predicted[0]
    if len(predicted) > 1:
        newest = 1.6 * predicted[0] - 0.6 * predicted[1]
    return ratio * x + (1 - ratio) * newest


def adams(x, predicted, now, after, rng):
    """Linear multistep with three predictions."""
    weights = ((1.0,), (1.5, -0.5), (23 / 12, -16 / 12, 5 / 12))[min(len(predicted), 3) - 1]
    slope = sum(w * (x - d) / now for w, d in zip(weights, predicted))
    return x + slope * (after - now)


def ancestral(x, predicted, now, after, rng):
    up = min(after, (after**2 * (now**2 - after**2) / now**2) ** 0.5)
    down = (after**2 - up**2) ** 0.5
    noise = torch.from_numpy(rng.standard_normal(SHAPE)).float()
    return x + (x - predicted[0]) / now * (down - now) + noise * up


def trajectory(step, model):
    """The latents at each sigma."""
    rng, x, found, predicted = np.random.default_rng(0), latents(1) * SIGMAS[0], [], []
    for now, after in zip(SIGMAS, (*SIGMAS[1:], 0.05)):
        found.append(x)
        predicted = [model(x, now), *predicted]
        x = step(x, predicted, now, after, rng)
    return found


@pytest.mark.parametrize(
    "step, furthest",
    [(euler, 1e-3), (second_order, 1e-3), (adams, 1e-3), (ancestral, 0.06)],
)
def test_the_plain_latents_are_those_of_a_sampling_without_the_style(step, furthest):
    expected, plain = trajectory(step, plain_model), PlainPicture()
    for i, (state, sigma) in enumerate(zip(trajectory(step, styled_model), SIGMAS)):
        found = plain.state_at(state)
        apart = (state - expected[i]).norm()  # what the style has changed
        assert (found - expected[i]).norm() <= furthest * apart
        assert (apart > 0) == (i > 0)
        plain.see_plain(plain_model(found, sigma))
        assert plain.see_styled(styled_model(state, sigma)) is not None


def test_without_a_style_there_is_no_difference():
    plain = PlainPicture()
    for state, sigma in zip(trajectory(euler, plain_model), SIGMAS):
        assert torch.equal(plain.state_at(state), state)
        plain.see_plain(plain_model(state, sigma))
        plain.see_styled(plain_model(state, sigma))
    assert plain.has_begun


def test_the_factors_are_the_samplers_own():
    x, newest, older = latents(1) * 9, latents(2), latents(3)
    after = 0.6 * x + 0.7 * newest - 0.3 * older
    found = step_taken(x, [newest, older], after)
    np.testing.assert_allclose(found, [0.6, 0.7, -0.3], atol=1e-6)
    noisy = after + 3 * latents(4)
    of_state, of_newest, of_older = step_taken(x, [newest, older], noisy)
    assert abs(of_state - 0.6) < 0.05 and of_older == 0
    assert of_state + of_newest == pytest.approx(1)


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_latents_that_are_no_numbers_are_followed_without_an_error(lost):
    x = latents(1)
    assert step_taken(x, [latents(2)], x * lost) == [1.0, 0.0]
    assert step_taken(x * lost, [latents(2)], x) == [1.0, 0.0]


def test_a_model_that_predicts_its_input_is_followed():
    x = latents(1)
    assert sum(step_taken(x, [x, x], x)) == pytest.approx(1)


def test_rows_are_handed_out_in_order_however_calls_are_cut():
    rows = torch.arange(24.0).reshape(4, 3, 2)
    for cut in ([4], [2, 2], [1, 3], [3, 1], [1, 1, 1, 1]):
        for other in ([4], [2, 2], [1, 3], [1, 2, 1]):
            kept = KeptLayout()
            for part in rows.split(cut):
                for name in ("to_q", "to_k", "to_v", "to_out"):
                    kept.keep(0, name, part)
            for name in ("to_q", "to_k"):
                given = [kept.give(0, name, torch.zeros_like(part)) for part in rows.split(other)]
                assert torch.equal(torch.cat(given), rows)
            assert kept.give(0, "to_v", rows) is None and kept.give(0, "to_out", rows) is None


@pytest.mark.parametrize("shape", [(2, 5, 2), (3, 3, 2), (2, 3, 4)])
def test_other_tokens_than_those_kept_are_refused(shape):
    kept = KeptLayout()
    kept.keep(1, "to_q", torch.zeros(2, 3, 2))
    with pytest.raises(InstantStyleError, match="layout_lock cannot be used"):
        kept.give(1, "to_q", torch.zeros(shape))


def test_queries_of_one_and_keys_of_the_same_picture_are_its_attention_map():
    """No probabilities are replaced, and it comes to the same."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 9, 4, generator=generator).double()
    theirs = torch.softmax(query @ key.transpose(2, 3) / 2, dim=3).numpy() @ value.numpy()
    found = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    np.testing.assert_allclose(found.numpy(), theirs, atol=1e-12)


@pytest.mark.parametrize(
    "share, steps, expected",
    [
        (0, 10, 0),
        (0.001, 10, 1),
        (0.3, 10, 3),
        (0.31, 10, 4),
        (1, 10, 10),
        (0.5, 1, 1),
        (0.2, 0, 0),
    ],
)
def test_the_steps_that_begin_before_the_share_is_over(share, steps, expected):
    assert locked_steps(share, steps) == expected
