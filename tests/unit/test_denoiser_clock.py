"""Rows and progress as a pass learns them from the WebUI."""

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
