"""Rows of UNet calls, and time."""

import pytest

from lib_instantstyle.unet.progress import CURVES, acting_steps, acts, completed_fraction, strength
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT, RowCounter, row_code, rows_of_first_image
from lib_instantstyle.units.choices import TIME_CURVES

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


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ("constant", [0, 1, 1, 1, 1, 0]),
        ("rising", [0, 0.125, 0.375, 0.625, 0.875, 0]),
        ("falling", [0, 0.875, 0.625, 0.375, 0.125, 0]),
        ("peak", [0, 0.25, 0.75, 0.75, 0.25, 0]),
        ("dip", [0, 0.75, 0.25, 0.25, 0.75, 0]),
    ],
)
def test_a_curve_is_taken_at_the_middle_of_the_step(curve, expected):
    """Six steps, of which the unit acts in four."""
    found = [strength(curve, 1 / 6, 5 / 6, step / 6, 6) for step in range(6)]
    assert found == pytest.approx(expected)


def test_few_steps_give_the_same_mean_as_many():
    for curve, mean in (("rising", 0.5), ("falling", 0.5), ("peak", 0.5), ("dip", 0.5)):
        for steps in (2, 8, 20, 50):
            found = [strength(curve, 0, 1, step / steps, steps) for step in range(steps)]
            assert sum(found) / steps == pytest.approx(mean)


@pytest.mark.parametrize("curve", TIME_CURVES)
def test_strength_stays_between_0_and_1_and_is_0_outside(curve):
    for steps in (1, 3, 7, 20):
        for start, end in ((0, 1), (0.3, 0.31), (0.95, 1), (0.5, 0.5), (0, 0.4)):
            for step in range(steps):
                found = strength(curve, start, end, step / steps, steps)
                assert 0 <= found <= 1
                assert found == 0 or acts(start, end, step / steps)
    assert strength("constant", 0.2, 0.8, 0.8, 10) == 0


def test_one_step_alone_is_the_middle_of_a_curve():
    assert [strength(curve, 0, 1, 0.0, 1) for curve in TIME_CURVES] == [1, 0.5, 0.5, 1, 0]


def test_the_curves_are_those_that_a_unit_may_ask_for():
    assert tuple(CURVES) == TIME_CURVES


@pytest.mark.parametrize(
    ("images", "found"),
    [
        ([(0, C), (1, C), (0, U), (1, U)], [0, 0, 2, 2]),
        ([(0, U), (1, U)], [0, 0]),
        ([(0, C), (0, C), (1, C), (1, C)], [0, 0, 0, 0]),  # AND: the first prompt of the first
        ([(1, C), (2, C)], None),
        ([(0, C), (1, C), (1, U)], None),
    ],
)
def test_the_row_of_the_first_image_that_goes_with_each(images, found):
    assert rows_of_first_image([row_code(kind, image) for image, kind in images]) == found
