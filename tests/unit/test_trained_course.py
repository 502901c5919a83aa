"""Training stops and goes on as if it had not stopped; the rate rises, holds and falls."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trained.attention import training_attention
from tests.trained.course import Course
from tests.trained.stages import COURSES, Study

SHORT = {  # steps, batch
    "text": (20, 0),
    "judge": (20, 4),
    "critic": (20, 4),
    "image": (20, 4),
    "tokens": (20, 4),
    "base": (4, 2),
    "details": (4, 2),
    "adapter": (4, 2),
    "adapter_details": (4, 2),
    "style_adapter": (4, 2),
}


def short_study(folder: Path) -> Study:
    return Study(
        folder,
        {
            name: replace(COURSES[name], steps=steps, batch=batch, warm_up=2)
            for name, (steps, batch) in SHORT.items()
        },
    )


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums of two threads may round otherwise, and layers this small gain nothing from them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def in_one_go(tmp_path_factory: pytest.TempPathFactory) -> Study:
    study = short_study(tmp_path_factory.mktemp("study"))
    assert study.run()
    return study


@pytest.mark.parametrize("name", SHORT)
def test_a_stopped_training_goes_on_exactly(name: str, in_one_go: Study, tmp_path: Path) -> None:
    for stage in list(SHORT)[: list(SHORT).index(name)]:
        (tmp_path / f"{stage}.pt").write_bytes((in_one_go.folder / f"{stage}.pt").read_bytes())
    for _ in range(2):
        assert not short_study(tmp_path).run(until=0.0, only=name)  # over after one step
    found = short_study(tmp_path).training(name)
    assert found.step == 2
    with training_attention():
        assert found.run()
    expected = in_one_go.training(name)
    for which in ("network", "mean"):
        pairs = zip(
            getattr(expected, which).state_dict().items(),
            getattr(found, which).state_dict().items(),
            strict=True,
        )
        for (key, tensor), (other_key, other) in pairs:
            assert key == other_key
            assert torch.equal(tensor, other), f"{which}: {key}"


@pytest.mark.parametrize("name", SHORT)
def test_training_changes_the_weights_of_nearly_every_layer(name: str, in_one_go: Study) -> None:
    training = in_one_go.training(name)
    fresh = Study(in_one_go.folder / "fresh", in_one_go.courses)
    for stage in list(SHORT)[: list(SHORT).index(name)]:
        fresh._made[stage] = in_one_go.training(stage)
    before = fresh.training(name).network.state_dict()
    changed = [k for k, t in training.network.state_dict().items() if not torch.equal(t, before[k])]
    assert len(changed) > 0.7 * len(before)


def test_what_was_learned_before_stays_as_it_is(in_one_go: Study) -> None:
    """The adapter trains on the base's mean weights, which must not move with it."""
    kept = torch.load(in_one_go.folder / "details.pt", weights_only=True)["mean"]
    for key, tensor in in_one_go.mean("details").state_dict().items():
        assert torch.equal(tensor, kept[key]), key


def test_a_stage_is_not_built_on_one_that_is_not_done(tmp_path: Path) -> None:
    study = short_study(tmp_path)
    study.run(until=0.0, only="text")
    with pytest.raises(ValueError, match="image builds on text: train that to its end first"):
        study.run(only="image")
    assert study.training("image").step == 0


def test_the_log_tells_steps_loss_and_seconds(tmp_path: Path) -> None:
    folder = tmp_path / "not there yet"
    short_study(folder).training("text").run(every=5)
    lines = [json.loads(line) for line in (folder / "text.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert all(line["seconds"] > 0 for line in lines)


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.1), (4, 0.5), (9, 1.0), (50, 1.0), (80, 1.0), (90, 0.5), (99, 0.05)]
)
def test_the_rate_rises_holds_and_falls(step: int, share: float) -> None:
    course = Course("x", steps=100, batch=1, rate=2.0, warm_up=10, fall=0.2)
    assert course.rate_at(step) == pytest.approx(2.0 * share)


def test_every_step_of_every_course_has_chances_of_its_own() -> None:
    draws = [
        replace(COURSES[name], seed=seed).chance(step)[0].random()
        for name in ("judge", "image")
        for seed in (0, 1)
        for step in (0, 1)
    ]
    assert len(set(draws)) == len(draws)
    assert COURSES["judge"].chance(3)[0].random() == COURSES["judge"].chance(3)[0].random()
