"""The sigmas of the schedules, against the timesteps of the published run and of the WebUI."""

import math

import pytest

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.inversion import ddim_timesteps, published_schedule, sampler_schedule
from tests.unit.noise_schedule import SIGMAS


def timestep(sigma):
    return min(range(1000), key=lambda t: abs(SIGMAS[t] - sigma))


def test_the_published_run_asks_50_times_up_to_999_and_49_times_from_961():
    schedule = published_schedule(50, SIGMAS)
    assert [timestep(step.at) for step in schedule.up] == list(range(1, 1000, 20))
    assert [timestep(step.end) for step in schedule.up][-3:] == [961, 981, 999]
    assert [timestep(step.at) for step in schedule.down] == list(range(961, 0, -20))
    assert [timestep(step.end) for step in schedule.down][-2:] == [1, 0]
    assert schedule.kept == {SIGMAS[t] for t in [*range(1, 962, 20), 999]}


def test_the_levels_are_those_of_stable_diffusion():
    # The schedule's own numbers, computed in double precision from its betas.
    known = {0: 0.0292, 1: 0.0413, 21: 0.1415, 961: 11.6760, 981: 13.1204, 999: 14.6146}
    for t, sigma in known.items():
        assert SIGMAS[t] == pytest.approx(sigma, abs=6e-5)


@pytest.mark.parametrize("steps", range(1, 101))
def test_numbers_of_steps_that_divide_1000_are_exact(steps):
    assert (len(ddim_timesteps(steps)) == steps) == (1000 % steps == 0)
    if 1000 % steps or steps < 2:
        with pytest.raises(InstantStyleError, match=f"no {steps} steps"):
            published_schedule(steps, SIGMAS)
    else:
        assert len(published_schedule(steps, SIGMAS).up) == steps


def test_a_sampler_s_own_levels_are_walked_up_and_down():
    schedule = sampler_schedule([12.0, 3.0, 0.5])
    assert [(s.start, s.end, s.at) for s in schedule.up] == [
        (0, 0.5, 0.5),
        (0.5, 3, 0.5),
        (3, 12, 3),
    ]
    assert [(s.start, s.end, s.at) for s in schedule.down] == [
        (12, 3, 12),
        (3, 0.5, 3),
        (0.5, 0, 0.5),
    ]
    assert schedule.kept == {12.0, 3.0, 0.5}
    assert sampler_schedule([0.5, 3.0, 12.0]) == schedule


@pytest.mark.parametrize(("inversion_steps", "parts"), [(0, 1), (3, 1), (4, 2), (6, 2), (50, 17)])
def test_more_inversion_steps_divide_the_intervals_evenly(inversion_steps, parts):
    schedule = sampler_schedule([8.0, 2.0, 0.5], inversion_steps)
    assert len(schedule.up) == 1 + 2 * parts
    assert schedule.down == sampler_schedule([8.0, 2.0, 0.5]).down
    assert {0.5, 2.0, 8.0} <= {
        step.end for step in schedule.up
    }  # exactly, for states are found by it
    for step in schedule.up[1:]:
        assert math.log(step.end / step.start) == pytest.approx(math.log(4) / parts)


@pytest.mark.parametrize("levels", [[], [0.0], [1.0, 0.0], [3.0, 1.0, 2.0]])
def test_levels_that_do_not_fall_are_refused(levels):
    with pytest.raises(InstantStyleError, match="do not fall"):
        sampler_schedule(levels)
