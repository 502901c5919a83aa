"""Pictures of the effect: through the files and the extension's engine, each with its reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lib_instantstyle.layout import SDXL
from tests.demo.terms import added_terms, touched_blocks
from tests.effect.arms import ALL_BLOCKS, Arm, equally, make_cases
from tests.effect.outcome import judged
from tests.effect.painter import Painter
from tests.effect.pairs import COLOUR_PAIRS, TEXTURE_PAIRS, pairs
from tests.trained.family import STYLE_ADAPTER
from tests.trained.world import LOOKS
from tests.unit.small_family import untrained

PLAIN = Arm("plain", {})
ALL = equally("all", ALL_BLOCKS)
CASES = make_cases(3, seed=1)


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Painter]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    family = untrained(tmp_path_factory.mktemp("family"))
    yield Painter(family.weights, family.models, steps=3)
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def styled(painter: Painter) -> torch.Tensor:
    return painter.paint(ALL, CASES)


def test_each_case_has_its_own_reference_noise_and_prompt(painter: Painter, styled) -> None:
    assert styled.shape == (3, 3, 32, 32)
    for i in (0, 2):
        alone = painter.paint(ALL, CASES.part(slice(i, i + 1)))
        torch.testing.assert_close(alone[0], styled[i], rtol=0, atol=1e-3)


def test_another_reference_changes_its_own_picture_only(painter: Painter, styled) -> None:
    references = CASES.references.copy()
    references[1] = -references[1]
    found = painter.paint(ALL, replace(CASES, references=references))
    torch.testing.assert_close(found[[0, 2]], styled[[0, 2]], rtol=0, atol=1e-3)
    assert (found[1] - styled[1]).abs().max() > 0.01


def test_without_blocks_no_reference_acts(painter: Painter, styled) -> None:
    plain = painter.paint(PLAIN, CASES)
    other = painter.paint(PLAIN, replace(CASES, references=-CASES.references))
    assert torch.equal(plain, other)
    assert (plain - styled).abs().max() > 0.01


def test_the_blocks_of_an_arm_and_no_others_get_a_term(painter: Painter) -> None:
    with added_terms(painter.model.model.diffusion_model) as shares:
        painter.paint(equally("two", (3, 6)), CASES.part(slice(0, 1)))
    assert set(touched_blocks(shares)) == {SDXL.blocks[i].diffusers for i in (3, 6)}


def test_subtraction_takes_the_reference_s_shape_from_its_vector(painter: Painter, styled) -> None:
    subtracted = ALL.removing("difference", 0.5)
    assert (painter.paint(subtracted, CASES) - styled).abs().max() > 1e-4
    others = replace(CASES, reference_shapes=CASES.shapes)
    one, two = (painter.paint(subtracted, cases) for cases in (CASES, others))
    assert not torch.equal(one, two)
    assert not torch.equal(one, painter.paint(ALL.removing("projection", 0.5), CASES))
    assert torch.equal(styled, painter.paint(ALL.removing("difference", 0.0), CASES))


def test_an_adapter_of_one_block_acts_there(painter: Painter) -> None:
    arm = equally("trained", (6,), adapter=STYLE_ADAPTER)
    with added_terms(painter.model.model.diffusion_model) as shares:
        painter.paint(arm, CASES.part(slice(0, 1)))
    assert set(touched_blocks(shares)) == {SDXL.blocks[6].diffusers}


def test_each_judge_compares_with_prompt_and_reference(painter: Painter) -> None:
    pictures = torch.from_numpy(CASES.references)
    for judge in painter.judges:
        shapes, looks = (scores.argmax(1).numpy() for scores in judge(pictures))
        found = judged(judge, pictures, replace(CASES, shapes=shapes, looks=looks))
        assert found.kept.all()
        assert found.styled.all()
        assert (found.leaked == (shapes == CASES.reference_shapes)).all()


def test_two_references_are_one_for_each_case(painter: Painter) -> None:
    """By the extension's own arithmetic; a grey second picture and its copy are the same."""
    cases, by_colour = pairs(8, seed=1)
    assert by_colour.sum() == 4 and cases.seconds is not None
    part = cases.part(slice(0, 2))
    arms = [Arm("two", {10: 1.0}, together=name) for name in ("colour + texture", "average")]
    found = [painter.paint(arm, part) for arm in arms]
    assert not torch.equal(*found)
    others = replace(part, seconds=part.references)
    assert not torch.equal(painter.paint(arms[0], others), found[0])
    alone = painter.paint(arms[0], cases.part(slice(1, 2)))
    torch.testing.assert_close(alone[0], found[0][1], rtol=0, atol=1e-3)


def test_the_expected_look_has_the_first_s_colours_and_the_second_s_texture() -> None:
    cases, by_colour = pairs(16, seed=3)
    names = list(LOOKS)
    for look, colour in zip(cases.looks, by_colour, strict=True):
        chosen = COLOUR_PAIRS if colour else TEXTURE_PAIRS
        assert names[look] in {name for pair in chosen for name in pair}
    looks = [[LOOKS[name] for name in pair] for pair in COLOUR_PAIRS]
    assert all(a.figure.pattern is b.figure.pattern for a, b in looks)
    looks = [[LOOKS[name] for name in pair] for pair in TEXTURE_PAIRS]
    assert all(a.figure.first == b.figure.first for a, b in looks)
