"""Samplers of any habit, and any schedule: an evaluation belongs to the step that makes it."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.unet.progress import (
    CURVES,
    SamplerProgress,
    acting_steps,
    acts,
    completed_fraction,
    strength,
)
from tests.unit.sampler_calls import Denoiser

# An evaluation: how far it is from this step's sigma to the next one's, or above it by churn.
evaluations = st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0, -0.3]), max_size=3)
habits = st.lists(st.tuples(evaluations, evaluations), min_size=1, max_size=9)
"""Of each step: its evaluations before the callback, and those after it."""


def levels_of(steps):
    return torch.cat([torch.logspace(1, -1.5, steps), torch.zeros(1)])


def between(sigmas, step, part):
    return float(sigmas[step] + part * (sigmas[step + 1] - sigmas[step]))


def not_ahead(part, step):
    """Until the callback was called the list of sigmas tells, which knows no evaluation ahead."""
    return part if step else min(part, 0)


def plain_loop(habit):
    """A loop over `i`, as nearly all samplers have."""

    def sampler(model, x, sigmas, extra_args=None, callback=None):
        for i in range(len(sigmas) - 1):
            before, after = habit[i]
            for part in before:
                model(x, between(sigmas, i, part), i)
            callback({"i": i, "x": x})
            for part in after:
                model(x, between(sigmas, i, part), i)

    return sampler


def loop_in_a_closure(habit):
    """As A1111's restart: the counter is a variable of the enclosing function, and `i` is none."""

    def sampler(model, x, sigmas, extra_args=None, callback=None):
        number = 0
        pairs = []
        for i in range(len(sigmas) - 1):
            pairs.append(habit[i])

        def one(before, after):
            nonlocal number
            for part in before:
                model(x, between(sigmas, number, not_ahead(part, number)), number)
            callback({"i": number})
            for part in after:
                model(x, between(sigmas, number, part), number)
            number += 1

        for before, after in pairs:
            one(before, after)

    return sampler


def another_name(habit):
    """The counter is not called `i`: only once the callback was called it is known."""

    def sampler(model, x, sigmas, extra_args=None, callback=None):
        for place, (before, after) in enumerate(habit):
            for part in before:
                model(x, between(sigmas, place, not_ahead(part, place)), place)
            callback({"i": place})
            for part in after:
                model(x, between(sigmas, place, part), place)

    return sampler


def run(function, steps, total, callback=lambda state: None):
    progress, sampler = SamplerProgress(steps), SimpleNamespace(func=function)
    denoiser = Denoiser(sampler, progress, total)
    with progress.watching(sampler):
        sampler.func(denoiser, torch.zeros(1, 4), levels_of(steps), callback=callback)
    assert sampler.func is function
    return denoiser.seen


@given(
    habits, st.sampled_from([plain_loop, loop_in_a_closure, another_name]), st.integers(1, 3)
)  # fmt: skip
def test_an_evaluation_belongs_to_the_step_that_makes_it(habit, kind, order):
    """order: evaluations in a step as the WebUI believes, right or wrong."""
    steps = len(habit)
    seen = run(kind(habit), steps, steps * order)
    assert [found for _, found in seen] == [step / steps for step, _ in seen]


states = st.one_of(
    st.none(), st.integers(-3, 20), st.text(max_size=3),
    st.fixed_dictionaries({"i": st.none() | st.booleans() | st.integers(-3, 20) | st.floats()}),
)  # fmt: skip


@given(
    habits, st.lists(states, min_size=1, max_size=4), st.integers(0, 40), st.integers(1, 9),
    st.booleans(),
)  # fmt: skip
def test_a_sampler_of_no_sense_is_somewhere_in_the_pass(habit, said, total, steps, has_list):
    """Whatever it tells, and however many evaluations it makes: a whole step, below the end."""
    said = itertools.cycle(said)

    def sampler(model, x, sigmas=None, extra_args=None, callback=None):
        for before, after in habit:
            for part in [*before, *after]:
                model(x, abs(part) * 7, 0)
            callback(next(said))

    progress, host = SamplerProgress(steps), SimpleNamespace(func=sampler)
    denoiser = Denoiser(host, progress, total)
    with progress.watching(host):
        given_list = (levels_of(steps),) if has_list else ()
        host.func(denoiser, torch.zeros(1, 4), *given_list, callback=lambda state: None)
    assert {found for _, found in denoiser.seen} <= {step / steps for step in range(steps)}


# -- schedules -----------------------------------------------------------------------------------

shares = st.floats(0, 1) | st.sampled_from([0, 0.2, 0.25, 0.5, 0.8, 1])
step_counts = st.integers(1, 60)


@given(shares, shares, step_counts)
def test_ranges_that_meet_share_all_steps(first, second, steps):
    start, end = sorted((first, second))
    ranges = [(0, start), (start, end), (end, 1)]
    assert [step for each in ranges for step in acting_steps(*each, steps)] == [*range(steps)]


@given(st.sampled_from(sorted(CURVES)), shares, shares, step_counts)
def test_a_strength_is_a_share_and_nothing_outside_the_range(curve, first, second, steps):
    start, end = sorted((first, second))
    for step in range(steps):
        found = strength(curve, start, end, step / steps, steps)
        assert 0 <= found <= 1
        if not acts(start, end, step / steps):
            assert found == 0
    if curve == "constant":
        found = [step for step in range(steps) if strength(curve, start, end, step / steps, steps)]
        assert found == acting_steps(start, end, steps)


@given(st.sampled_from([("rising", "falling"), ("peak", "dip")]), shares, shares, step_counts)
def test_a_curve_and_its_opposite_are_one(curves, first, second, steps):
    start, end = sorted((first, second))
    for step in acting_steps(start, end, steps):
        one, other = (strength(curve, start, end, step / steps, steps) for curve in curves)
        assert abs(one + other - 1) < 1e-9


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 60))
def test_a_completed_share_is_a_whole_step_below_the_end(done, expected, steps):
    found = completed_fraction(done, expected, steps)
    assert found == 0 or found in {step / steps for step in range(steps)}
    assert completed_fraction(done + 1, expected, steps) >= found
