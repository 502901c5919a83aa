"""Rows and progress as a pass learns them from the WebUI."""

from types import SimpleNamespace

import pytest
import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.denoiser import AMBIGUOUS, DenoiserClock
from lib_instantstyle.unet.injection import UnetCall
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT, row_code
from tests.unit.denoiser_calls import A, N, params

C, U = PROMPT, NEGATIVE


def call(rows, context=None, **options):
    return UnetCall(rows, context, options)


def test_rows_are_counted_and_begin_anew_with_each_step():
    clock = DenoiserClock(4, print)
    assert clock.rows(call(2)) is None
    for _ in range(2):
        clock.begin_step(params())
        assert clock.rows(call(1)) == (C,)


def test_a_later_callback_may_replace_the_prompt():
    clock = DenoiserClock(4, print)
    step = params()
    clock.begin_step(step)
    step.text_cond = torch.cat([A, A])
    step.x = torch.zeros(3, 4)
    assert clock.rows(call(3)) == (C, C, U)


def test_instruct_pix2pix_has_the_negative_prompt_twice():
    clock = DenoiserClock(4, print)
    clock.begin_step(params(rows=3))
    assert [clock.rows(call(1)) for _ in range(3)] == [(C,), (U,), (U,)]


def test_sdxl_sends_a_dictionary():
    clock = DenoiserClock(4, print)
    clock.begin_step(params({"crossattn": A, "vector": A}, {"crossattn": N, "vector": N}))
    assert clock.rows(call(2)) == (C, U)


def test_rows_that_the_call_announces_are_taken_as_they_are():
    clock = DenoiserClock(4, print)
    assert clock.rows(call(4, cond_or_uncond=[1, 0])) == (U, U, C, C)
    assert clock.rows(call(3, cond_or_uncond=[1, 0, 0])) == (U, C, C)
    assert clock.rows(call(2, cond_or_uncond=[0])) == (C, C)


def test_tiles_lay_announced_rows_one_set_behind_the_other():
    """As Forge's own MultiDiffusion: sigmas still has one entry for each picture."""
    said = []
    clock = DenoiserClock(4, said.append)
    one, two = torch.zeros(1), torch.zeros(2)
    assert clock.rows(call(6, cond_or_uncond=[1, 0], sigmas=one)) == (U, C, U, C, U, C)
    assert clock.rows(call(8, cond_or_uncond=[1, 0], sigmas=two)) == (U, U, C, C) * 2
    assert clock.rows(call(4, cond_or_uncond=[1, 0], sigmas=two)) == (U, U, C, C)
    assert clock.rows(call(3, cond_or_uncond=[0], sigmas=one)) == (C, C, C)
    clock.begin_step(params())
    other_order = torch.cat([N, N, A, A])
    assert clock.rows(call(4, other_order, cond_or_uncond=[1, 0], sigmas=one)) == (U, U, C, C)
    assert said == []
    assert clock.rows(call(3, cond_or_uncond=[1, 0], sigmas=one)) == (U, C, U)
    assert said == [AMBIGUOUS]


def test_too_many_rows_are_told_apart_by_what_they_hold():
    said = []
    clock = DenoiserClock(4, said.append)
    clock.begin_step(params())
    assert clock.rows(call(4, torch.cat([N, A, A, N]))) == (U, C, C, U)
    assert said == []


def test_tiles_of_several_sets_of_rows_keep_their_pictures():
    """As Tiled Diffusion with a tile batch: all rows of the step, once for each tile."""
    clock = DenoiserClock(4, print, tells_images_apart=True)
    two = {"prompt": torch.cat([A, A]), "negative": torch.cat([N, N]), "rows": 4}
    clock.begin_step(params(**two))
    sets = torch.cat([A, A, N, N] * 3)
    whose = tuple(row_code(kind, image) for kind in (C, U) for image in (0, 1))
    assert clock.rows(call(12, sets)) == whose * 3
    assert clock.rows(call(8, sets[:8])) == whose * 2
    with pytest.raises(InstantStyleError, match="combine 'each' cannot be used"):
        clock.rows(call(8, torch.cat([N, N, A, A] * 2)))


def test_what_cannot_be_told_apart_is_said_once_and_taken_in_order():
    said = []
    clock = DenoiserClock(4, said.append)
    for _ in range(3):
        clock.begin_step(params(prompt=A, negative=A))
        assert clock.rows(call(4, torch.cat([A, A, A, A]))) == (C, U, C, U)
    assert said == [AMBIGUOUS]


def test_time_is_counted_in_whole_steps():
    clock = DenoiserClock(2, print)
    seen = []
    for evaluation in range(3):
        clock.begin_step(params(step=evaluation, total_steps=4))
        seen.append(clock.fraction())
    assert seen == [0.0, 0.0, 0.5]


def adaptive(model, x, sigma_min, sigma_max, extra_args=None, callback=None):
    """As k-diffusion's sample_dpm_adaptive takes its arguments."""


def fixed(model, x, sigmas, extra_args=None, callback=None):
    """As its other samplers do."""


def counted(model, x, sigma_min, sigma_max, n, extra_args=None, callback=None):
    """As sample_dpm_fast does."""


def at(sigma, func, step=0):
    given = params(step=step, total_steps=4)
    wrap = SimpleNamespace(sigmas=torch.tensor([0.1, 1.0, 10.0]))
    given.denoiser.sampler = SimpleNamespace(func=func, model_wrap=wrap)
    given.sigma = torch.full((2,), sigma)
    return given


def test_a_sampler_that_chooses_its_steps_is_timed_by_sigma():
    clock = DenoiserClock(4, print)
    seen = []
    for step, sigma in enumerate((10.0, 1.0, 3.0, 0.1, 0.1)):  # a refused step goes back
        clock.begin_step(at(sigma, adaptive, step))
        seen.append(clock.fraction())
    assert seen == pytest.approx([0.0, 0.5, 0.2614, 0.999, 0.999], abs=1e-3)
    assert all(fraction < 1 for fraction in seen)


@pytest.mark.parametrize("func", [fixed, counted])
def test_other_samplers_are_timed_by_their_steps(func):
    clock = DenoiserClock(4, print)
    clock.begin_step(at(10.0, func, 0))
    clock.begin_step(at(0.1, func, 1))
    assert clock.fraction() == 0.25
