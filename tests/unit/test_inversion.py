"""The identities of DDIM and of AdaIN."""

import pytest
import torch

from lib_instantstyle.unet.inversion import (
    SigmaStep,
    adain,
    invert,
    latent_scale,
    move,
    published_schedule,
    sampler_schedule,
    state_at,
)
from lib_instantstyle.unet.trajectory_cache import TrajectoryCache
from tests.unit.noise_schedule import ALPHAS, SIGMAS


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def latents(n=1, dtype=torch.float64):
    return torch.randn(n, 4, 8, 8, dtype=dtype)


@pytest.mark.parametrize(("t", "t_next"), [(981, 961), (21, 1), (1, 0), (1, 21), (981, 999)])
def test_a_step_in_sigma_is_ddim_without_added_noise(t, t_next):
    x, noise = latents(), latents()
    a, b = ALPHAS[t], ALPHAS[t_next]
    ddim = b.sqrt() * (x - (1 - a).sqrt() * noise) / a.sqrt() + (1 - b).sqrt() * noise
    step = SigmaStep(SIGMAS[t], SIGMAS[t_next], SIGMAS[t])
    ours = move(x * latent_scale(SIGMAS[t]), noise, step) / latent_scale(SIGMAS[t_next])
    torch.testing.assert_close(ours, ddim, atol=1e-13, rtol=0)


def test_the_inverse_is_exact_where_the_noise_is_the_same():
    noise = latents()
    schedule = sampler_schedule([SIGMAS[t] for t in (981, 500, 20, 1)])
    x = latents()
    states = invert(x, schedule.up, lambda state, sigma: noise, schedule.kept)
    assert set(states) == schedule.kept
    back = states[SIGMAS[981]]
    for step in schedule.down:
        torch.testing.assert_close(back, states[step.at], atol=1e-12, rtol=0)
        back = move(back, noise, step)
    torch.testing.assert_close(back, x, atol=1e-12, rtol=0)


def smooth(x, sigma):
    """A denoiser that changes slowly with the level and the state, as a trained UNet does."""
    return torch.tanh(x / latent_scale(sigma)) + 0.1 * torch.sin(x) / latent_scale(sigma)


def error(inversion_steps):
    schedule = sampler_schedule([SIGMAS[t] for t in range(981, 0, -20)], inversion_steps)
    x = latents()
    back = invert(x, schedule.up, smooth, schedule.kept)[SIGMAS[981]]
    for step in schedule.down:
        back = move(back, smooth(back, step.at), step)
    return ((back - x).norm() / x.norm()).item()


def test_down_after_up_returns_the_latent():
    assert error(50) < 0.15
    assert error(50) > 1e-6  # there is an error to be seen


def test_the_trajectory_tells_where_it_was_asked():
    asked = []

    def denoiser(x, sigma):
        asked.append(sigma)
        return torch.zeros_like(x)

    schedule = published_schedule(50, SIGMAS)
    states = invert(latents(), schedule.up, denoiser, schedule.kept)
    assert asked == [step.at for step in schedule.up]
    assert set(states) == schedule.kept


def test_between_known_states_and_beyond_the_last_lies_the_line():
    noise, x = latents(), latents()
    states = {sigma: x + sigma * noise for sigma in (0.0, 1.0, 3.0, 10.0)}
    for sigma in (0.0, 0.3, 1.0, 2.0, 9.9, 10.0, 12.0):
        torch.testing.assert_close(state_at(states, sigma), x + sigma * noise)
    assert torch.equal(state_at(states, 3.0), states[3.0])


# -- AdaIN ------------------------------------------------------------------------------------


def test_adain_gives_the_mean_and_deviation_of_the_style():
    content, style = latents(2), latents(1) * 3 + torch.arange(4.0)[None, :, None, None]
    out = adain(content, style, (2, 3))
    for statistic in (torch.mean, torch.std):
        found, asked = (statistic(x, dim=(2, 3)) for x in (out, style.expand_as(out)))
        torch.testing.assert_close(found, asked, atol=1e-12, rtol=0)
    flat = [x.flatten(2) - x.flatten(2).mean(-1, keepdim=True) for x in (out, content)]
    torch.testing.assert_close(*(x / x.norm(dim=-1, keepdim=True) for x in flat))  # moved, no more


def test_adain_of_itself_is_itself_and_scale_carries_over():
    a, b = latents(), latents() * 2 + 1
    torch.testing.assert_close(adain(a, a, (2, 3)), a, atol=1e-13, rtol=0)
    torch.testing.assert_close(adain(7 * a, 7 * b, (2, 3)), 7 * adain(a, b, (2, 3)))
    assert (adain(a, b, (2, 3)) - a).abs().max() > 1


def test_adain_of_a_flat_content_is_the_style_s_mean():
    flat, style = torch.full((1, 4, 8, 8), 0.5), latents(dtype=torch.float32)
    out = adain(flat, style, (2, 3))
    torch.testing.assert_close(out, style.mean((2, 3), keepdim=True).expand_as(out))


# -- cache ------------------------------------------------------------------------------------


class Counting:
    def __init__(self, factor=1.0):
        self.factor = factor
        self.calls = 0

    def __call__(self, x, sigma):
        self.calls += 1
        return self.factor * smooth(x, sigma)


SCHEDULE = sampler_schedule([SIGMAS[t] for t in range(981, 0, -100)])


def test_a_picture_is_inverted_once():
    cache, x, model = TrajectoryCache(), latents(), Counting()
    first = cache.trajectory(x, SCHEDULE, "a", model)
    assert model.calls == len(SCHEDULE.up)
    second = cache.trajectory(x.clone(), SCHEDULE, "a", model)
    assert model.calls == len(SCHEDULE.up) + 1
    assert all(torch.equal(first[sigma], second[sigma]) for sigma in SCHEDULE.kept)


@pytest.mark.parametrize("what", ["picture", "checkpoint", "schedule", "model"])
def test_what_changes_the_trajectory_makes_it_anew(what):
    cache, x, model = TrajectoryCache(), latents(), Counting()
    cache.trajectory(x, SCHEDULE, "a", model)
    x = latents() if what == "picture" else x
    schedule = sampler_schedule([9.0, 1.0]) if what == "schedule" else SCHEDULE
    other = Counting(1.02 if what == "model" else 1.0)
    found = cache.trajectory(x, schedule, "b" if what == "checkpoint" else "a", other)
    # A model of the same name is asked once, and found to be another.
    assert other.calls == len(schedule.up) + (what == "model")
    direct = invert(x, schedule.up, Counting(other.factor), schedule.kept)
    assert all(torch.equal(found[sigma], direct[sigma]) for sigma in schedule.kept)


def test_the_cache_keeps_to_its_limit_and_forgets_the_oldest():
    cache, model = TrajectoryCache(limit=30_000), Counting()
    pictures = [latents() for _ in range(3)]
    for x in pictures:
        cache.trajectory(x, SCHEDULE, "a", model)
    one = (len(SCHEDULE.kept) + 2) * 4 * 8 * 8 * 8
    assert cache.size == 30_000 // one * one == one
    before = model.calls
    cache.trajectory(pictures[2], SCHEDULE, "a", model)
    assert model.calls == before + 1
    cache.trajectory(pictures[0], SCHEDULE, "a", model)
    assert model.calls == before + 1 + len(SCHEDULE.up)
