"""Rows of UNet calls, and time."""

import pytest

from lib_instantstyle.pure.rows import NEGATIVE, PROMPT, RowCounter
from lib_instantstyle.pure.schedule import acting_steps, acts, completed_fraction

C, U = PROMPT, NEGATIVE


@pytest.mark.parametrize(
    ("case", "prompt_rows", "negative_rows", "calls"),
    [
        ("batch 2", 2, 2, [(C, C, U, U)]),
        ("prompt and negative apart", 2, 2, [(C, C), (U, U)]),
        ("A AND B, batch 2", 4, 2, [(C, C, C, C, U, U)]),
        ("AND, apart", 4, 2, [(C, C, C, C), (U, U)]),
        ("negative skipped", 2, 2, [(C, C)]),
        ("slices that mix", 3, 2, [(C, C), (C, U), (U,)]),
        ("one by one", 1, 1, [(C,), (U,)]),
        ("instruct-pix2pix", 1, 2, [(C, U, U)]),
        ("instruct-pix2pix, apart", 1, 2, [(C,), (U,), (U,)]),
    ],
)
def test_calls_of_a_step_use_up_its_rows_in_order(case, prompt_rows, negative_rows, calls):
    counter = RowCounter()
    for _ in range(2):  # a step that skipped rows must not shift the next one
        counter.begin_step(prompt_rows, negative_rows)
        assert [counter.take(len(call)) for call in calls] == calls


def test_nothing_is_known_before_the_first_step():
    assert not RowCounter().known


def test_more_rows_than_the_step_has_are_not_guessed():
    counter = RowCounter()
    counter.begin_step(1, 1)
    assert counter.take(4) is None
    assert counter.in_order(4) == (C, U, C, U)


def test_tiles_see_the_same_rows_again():
    counter = RowCounter()
    counter.begin_step(1, 1)
    assert [counter.take(2) for _ in range(3)] == [(C, U)] * 3


@pytest.mark.parametrize(
    ("start", "end", "steps", "expected"),
    [
        (0, 1, 4, [0, 1, 2, 3]),
        (0, 0.5, 4, [0, 1]),
        (0.5, 1, 4, [2, 3]),
        (0, 0.5, 5, [0, 1, 2]),
        (0.3, 0.3, 10, []),
        (0.99, 1, 20, []),
        (0, 1, 1, [0]),
    ],
)
def test_acting_steps(start, end, steps, expected):
    assert acting_steps(start, end, steps) == expected


def test_halves_meet_without_gap_or_overlap():
    for steps in range(1, 60):
        first, second = acting_steps(0, 0.5, steps), acting_steps(0.5, 1, steps)
        assert first + second == list(range(steps))


@pytest.mark.parametrize("order", [1, 2])
def test_time_is_the_same_for_first_and_second_order_samplers(order):
    steps = 10
    seen = [completed_fraction(n, steps * order, steps) for n in range(steps * order)]
    assert seen == [step / steps for step in range(steps) for _ in range(order)]
    assert not acts(0, 1, 1.0) and acts(0, 1, seen[-1])


def test_time_never_leaves_the_pass():
    assert completed_fraction(99, 10, 10) == 0.9
    assert completed_fraction(3, 0, 0) == 0.0
