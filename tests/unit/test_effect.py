"""How the effect is measured: cases, ways, the sweep, shares, what is kept, the report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lib_instantstyle.layout import SDXL
from tests.effect.__main__ import attempt, summary, write
from tests.effect.arms import ALL, ALL_BLOCKS, NO_ADAPTER, Arm, equally, make_cases, ways
from tests.effect.outcome import Outcome, at_same_looks, difference, share
from tests.effect.summary import kept_summary
from tests.effect.sweep import sweep
from tests.effect.trials import Trials
from tests.trained.family import STAGES
from tests.trained.world import LOOKS, SHAPES

COUNT = 200


def hits(share: float) -> np.ndarray:
    return np.arange(COUNT) < round(share * COUNT)


def outcome(kept: float, leaked: float, styled: float) -> Outcome:
    return Outcome(hits(kept), hits(leaked), hits(styled))


def test_cases_are_balanced_and_never_prompt_the_reference_s_shape() -> None:
    kinds = len(SHAPES) * len(LOOKS)
    cases = make_cases(4 * kinds, seed=1)
    assert set(Counter(zip(cases.shapes, cases.looks, strict=True)).values()) == {4}
    assert (cases.shapes != cases.reference_shapes).all()
    pairs = set(zip(cases.shapes, cases.reference_shapes, strict=True))
    assert len(pairs) > 0.9 * len(SHAPES) * (len(SHAPES) - 1)
    assert len(set(cases.seeds.tolist())) == len(cases)
    assert np.array_equal(cases.references, make_cases(4 * kinds, seed=1).references)
    assert not np.array_equal(cases.references, make_cases(4 * kinds, seed=2).references)


def test_a_part_of_the_cases_is_these_cases() -> None:
    cases = make_cases(12, seed=1)
    part = cases.part(slice(4, 6))
    assert len(part) == 2
    assert part.seeds.tolist() == cases.seeds[4:6].tolist()
    assert np.array_equal(part.references, cases.references[4:6])


def test_an_arm_s_key_tells_apart_what_paints_otherwise_and_nothing_else() -> None:
    arm = equally("one", (3, 8))
    assert arm.key == equally("another name", (8, 3)).key
    others = [
        equally("one", (3,)),
        equally("one", (3, 8), 0.5),
        equally("one", (3, 8), adapter="other"),
        arm.removing("difference", 0.5),
        arm.removing("projection", 0.5),
        arm.removing("difference", 0.6),
        NO_ADAPTER,
    ]
    assert len({arm.key, *(other.key for other in others)}) == len(others) + 1
    assert equally("off", (3, 8), 0.0, adapter="other").key == NO_ADAPTER.key


def test_every_way_has_its_usual_strength_and_a_name_of_its_own() -> None:
    table = ways((9, 10))
    assert table[0].name == ALL
    assert len({way.name for way in table}) == len(table)
    assert all(way.usual in way.strengths for way in table)
    keys = [arm.key for way in table for arm in way.arms().values()]
    assert len(set(keys)) == len(keys)


def test_a_share_has_a_bootstrap_interval() -> None:
    """A large sample's is that of the normal distribution."""
    found, low, high = share(np.arange(400) % 4 == 0)
    error = 1.96 * (0.25 * 0.75 / 400) ** 0.5
    assert found == 0.25
    assert (low, high) == (
        pytest.approx(0.25 - error, abs=0.004),
        pytest.approx(0.25 + error, abs=0.004),
    )


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


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (outcome(1, 0.1, 0.6), 0.1 - 0.25),  # half way between the baseline's two points
        (outcome(1, 0.4, 0.8), 0.0),  # the baseline's own
        (outcome(1, 0.5, 1.0), 0.1),  # more looks than the baseline has: its last leaks
        (outcome(1, 0.1, 0.1), 0.1),  # fewer than without an adapter: its first
    ],
)
def test_leaks_are_compared_at_the_same_looks(one: Outcome, expected: float) -> None:
    baseline = [outcome(1, 0.0, 0.2), outcome(1, 0.1, 0.4), outcome(1, 0.4, 0.8)]
    found, low, high = at_same_looks(one, baseline)
    assert found == pytest.approx(expected)
    assert low <= found <= high
    assert high - low < 0.3


def pretend(arm: Arm) -> Outcome:
    """A model whose look is in blocks 3 and 8, half each, and whose block 5 only leaks."""
    styled = min(1.0, 0.5 * sum(arm.blocks.get(block, 0.0) for block in (3, 8)))
    leaked = 0.6 * arm.blocks.get(5, 0.0) + 0.1 * arm.blocks.get(8, 0.0)
    leaked *= 1 - arm.fields.get("content_scale", 0.0) / 2
    return outcome(1 - leaked, leaked, styled)


def test_the_sweep_finds_the_blocks() -> None:
    found = sweep(lambda arms: [pretend(arm) for arm in arms])
    assert list(found.alone) == list(ALL_BLOCKS) == list(range(len(SDXL.blocks)))
    assert found.style == (3, 8)
    assert found.alone[3].styled.mean() == 0.5


def test_the_sweep_takes_all_blocks_where_none_suffice() -> None:
    found = sweep(lambda arms: [outcome(1, 0, 0.02 * len(arm.blocks)) for arm in arms])
    assert found.style == ALL_BLOCKS
    assert found.styled == pytest.approx(0.22)


class PretendTrials(Trials):
    def __call__(self, arms):
        return [(pretend(arm), pretend(arm)) for arm in arms]


def test_the_report_says_what_was_measured(tmp_path: Path) -> None:
    found = sweep(lambda arms: [pretend(arm) for arm in arms])
    tried = ways(found.style)
    outcomes = attempt(PretendTrials(tmp_path, tmp_path, COUNT, 2), tried)
    file = tmp_path / "effect.md"
    write(file, found, tried, outcomes, {"shapes": 12, "looks": 12, "count": COUNT})
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    suffice = "2 blocks suffice for 95% of the looks that all blocks give: 3 (`down_blocks.2."
    assert f"{suffice}attentions.1`), 8 (" in text
    assert "paper's style block, 6, is not among them" in text
    assert any(
        line.startswith("| no adapter |  | 100.0% (100.0 to 100.0) [100.0]") for line in lines
    )
    assert any(line.startswith("| all blocks | weight 1 | 30.0% (") for line in lines)
    (style,) = (line for line in lines if line.startswith("- *style blocks* at weight 1"))
    assert style.count("which is less") == 2
    (paper,) = (line for line in lines if line.startswith("- *the paper's block* at weight 1"))
    assert "+0.0 (+0.0 to +0.0) points against all blocks at the same share of looks" in paper
    assert "which is not told apart" in paper
    assert (tmp_path / "effect-front.png").stat().st_size > 10_000
    summary(found, tried, outcomes, COUNT).write(tmp_path)
    kept = kept_summary(tmp_path)
    assert kept.style == (3, 8)
    assert kept.ways[ALL] == pytest.approx((0.3, 0.7, 1.0))


def test_what_was_judged_is_not_painted_again(tmp_path: Path, monkeypatch) -> None:
    for stage in STAGES:
        (tmp_path / f"{stage}.safetensors").write_bytes(stage.encode())
    painted = []

    def paint(trials: Trials, missing) -> None:
        for arm, file in missing:
            painted.append(arm.name)
            file.parent.mkdir(parents=True, exist_ok=True)
            one = '{"kept": "10", "leaked": "01", "styled": "11"}'
            file.write_text(f'{{"judges": [{one}, {one}]}}')

    monkeypatch.setattr(Trials, "_paint", paint)
    trials = Trials(tmp_path, tmp_path / "out", 2, 1)
    arms = [equally("a", (1,)), equally("b", (2,))]
    first, second = trials(arms)[0]
    assert painted == ["a", "b"]
    assert first.kept.tolist() == [True, False]
    assert second.leaked.tolist() == [False, True]
    trials([*arms, equally("c", (3,))])
    assert painted == ["a", "b", "c"]
    (tmp_path / "base.safetensors").write_bytes(b"trained on")
    trials(arms)
    assert painted == ["a", "b", "c", "a", "b"]
