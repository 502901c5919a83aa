"""How the effect is measured: cases, the sweep, shares, the report's sentences."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lib_instantstyle.layout import SDXL
from tests.effect.arms import ALL_BLOCKS, Arm, equally, make_cases
from tests.effect.outcome import Outcome, difference, interval
from tests.effect.report import compared, report
from tests.effect.sweep import sweep
from tests.trained.world import LOOKS, SHAPES

COUNT = 200


def hits(share: float) -> np.ndarray:
    return np.arange(COUNT) < round(share * COUNT)


def outcome(kept: float, leaked: float, styled: float) -> Outcome:
    return Outcome(hits(kept), hits(leaked), hits(styled))


def test_cases_are_balanced_and_never_prompt_the_reference_s_shape() -> None:
    count = 4 * len(SHAPES) * len(LOOKS)
    cases = make_cases(count, seed=1)
    assert set(Counter(zip(cases.shapes, cases.looks, strict=True)).values()) == {4}
    assert (cases.shapes != cases.reference_shapes).all()
    assert len(set(zip(cases.shapes, cases.reference_shapes, strict=True))) == 30
    assert len(set(cases.seeds.tolist())) == count
    assert np.array_equal(cases.references, make_cases(count, seed=1).references)
    assert not np.array_equal(cases.references, make_cases(count, seed=2).references)


def test_a_part_of_the_cases_is_these_cases() -> None:
    cases = make_cases(12, seed=1)
    part = cases.part(slice(4, 6))
    assert len(part) == 2
    assert part.seeds.tolist() == cases.seeds[4:6].tolist()
    assert np.array_equal(part.references, cases.references[4:6])


@pytest.mark.parametrize(  # Newcombe 1998, table I, method 3
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_intervals_are_wilson_s(right: int, count: int, low: float, high: float) -> None:
    found = interval(np.arange(count) < right)
    assert found == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_difference_is_one_of_pairs() -> None:
    """Where both agree in most cases, the interval is narrow whatever the shares."""
    a = np.arange(400) % 2 == 0
    b = a.copy()
    b[:40] = False  # 20 hits fewer
    found, low, high = difference(a, b)
    assert found == pytest.approx(0.05)
    error = 1.96 * (a.astype(float) - b).std() / 20
    assert (low, high) == (
        pytest.approx(0.05 - error, abs=0.004),
        pytest.approx(0.05 + error, abs=0.004),
    )


def pretend(arm: Arm) -> Outcome:
    """A model whose look is in blocks 3 and 8, half each, and whose block 5 only leaks."""
    styled = min(1.0, 0.5 * sum(arm.blocks.get(block, 0.0) for block in (3, 8)))
    leaked = 0.6 * arm.blocks.get(5, 0.0) + 0.1 * arm.blocks.get(8, 0.0)
    return outcome(1 - leaked, leaked, styled)


def test_the_sweep_finds_the_blocks_and_the_weight() -> None:
    found = sweep(pretend)
    assert list(found.alone) == list(ALL_BLOCKS) == list(range(len(SDXL.blocks)))
    assert found.style == (3, 8)
    assert found.alone[3].styled.mean() == 0.5
    assert found.matched == 0.9


def test_the_sweep_takes_all_blocks_where_none_suffice() -> None:
    found = sweep(lambda arm: outcome(1, 0, 0.02 * len(arm.blocks)))
    assert found.style == ALL_BLOCKS
    assert found.styled == pytest.approx(0.22)
    text = report(found, [], {}, {"shapes": 6, "looks": 8, "count": COUNT})
    assert "all blocks together reach 22% styled, not 80%." in text


def test_the_report_says_what_was_measured() -> None:
    found = sweep(pretend)
    arms = [Arm("no adapter", {}), equally("all blocks", ALL_BLOCKS)]
    outcomes = {arm.name: pretend(arm) for arm in arms}
    text = report(found, arms, outcomes, {"shapes": 6, "looks": 8, "count": COUNT})
    rows = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    assert rows["| no adapter"].count("0.0% (0.0% to 1.9%)") == 2
    assert rows["| all blocks"].startswith("| all blocks | 30.0% (24.1% to 36.7%) | 70.0%")
    assert "| 3 `down_blocks.2.attentions.1`" in rows
    assert "2 blocks suffice for 80% styled: 3 (`down_blocks.2.attentions.1`), 8 (" in text
    assert "The paper's style block, 6, is not among them" in text


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (0.1, 0.4, "So dogs bark."),
        (0.4, 0.1, "So it is not so that dogs bark: the opposite was measured."),
        (0.3, 0.3, "The interval holds zero: whether dogs bark was not decided."),
    ],
)
def test_a_comparison_says_what_came_out(one: float, other: float, verdict: str) -> None:
    outcomes = {"a": outcome(1, one, 1), "b": outcome(1, other, 1)}
    sentence = compared(outcomes, "a", "b", "dogs bark")
    assert sentence.endswith(verdict)
    assert f"{100 * (one - other):+.1f} points" in sentence
