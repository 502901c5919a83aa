"""Pictures of the effect without an adapter, with a drawing as negative image, and with a look in
the prompt."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib_instantstyle.units.choices import FIXED, FRESH, INVERSION, REFERENCE_NOISES, SAME
from tests.effect import named, without_adapter
from tests.effect.arms import ALL_BLOCKS, NO_ADAPTER, QUICK, equally, make_cases, ways
from tests.effect.outcome import Outcome, judged
from tests.effect.painter import Painter
from tests.effect.pairs import COLOUR_PAIRS
from tests.effect.pairs import named as named_cases
from tests.trained.world import LOOKS
from tests.unit.small_family import untrained

CASES = make_cases(3, seed=1)
KINDS = {each.name: each for each in without_adapter.SETTINGS}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Painter]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    family = untrained(tmp_path_factory.mktemp("family"))
    yield Painter(family.weights, family.models, steps=3)
    torch.set_num_threads(before)


@EVERY_KIND
def test_each_case_attends_to_its_own_reference(painter: Painter, kind: str) -> None:
    arm = KINDS[kind].arm(SAME)
    found = painter.paint(arm, CASES)
    alone = painter.paint(arm, CASES.part(slice(1, 2)))
    torch.testing.assert_close(alone[0], found[1], rtol=0, atol=1e-3)
    references = CASES.references.copy()
    references[1] = -references[1]
    other = painter.paint(arm, replace(CASES, references=references))
    torch.testing.assert_close(other[[0, 2]], found[[0, 2]], rtol=0, atol=1e-3)
    assert (other[1] - found[1]).abs().max() > 1e-4


def test_each_noise_makes_another_picture_and_none_the_plain_one(painter: Painter) -> None:
    plain = painter.paint(NO_ADAPTER, CASES)
    swapped = KINDS["swap, colours calibrated"]
    found = [plain, *(painter.paint(swapped.arm(noise), CASES) for noise in REFERENCE_NOISES)]
    for i, one in enumerate(found):
        assert all((one - other).abs().max() > 1e-4 for other in found[:i])


def test_no_webui_is_left_behind(painter: Painter) -> None:
    painter.paint(KINDS["swap"].arm(FIXED), CASES.part(slice(0, 1)))
    assert "modules" not in sys.modules
    hooks = [
        hook
        for module in painter.model.model.diffusion_model.modules()
        for hook in (*module._forward_hooks, *module._forward_pre_hooks)
    ]
    assert not hooks


def hits(share: float) -> np.ndarray:
    return np.arange(100) < round(100 * share)


def test_the_section_compares_with_inversion() -> None:
    shares = {INVERSION: 0.5, SAME: 0.5, FRESH: 0.9, FIXED: 0.1}
    found = []
    for arm in without_adapter.arms():
        noise = arm.fields.get("reference_noise", INVERSION)
        one = Outcome(hits(0.8), hits(0.1), hits(shares[noise]))
        found.append((one, one))
    lines = without_adapter.section(found)
    (aligned,) = (x for x in lines if x.startswith("| StyleAligned, shared norms | same"))
    assert aligned.count("+0.0 (+0.0 to +0.0), not told apart |") == 2
    (fresh,) = (x for x in lines if x.startswith("| StyleAligned, shared norms | fresh"))
    assert "+40.0 (" in fresh and ", more |" in fresh
    (fixed,) = (x for x in lines if x.startswith("| StyleAligned, shared norms | fixed"))
    assert "-40.0 (" in fixed and ", less |" in fixed
    (first,) = (x for x in lines if x.startswith("| swap, colours calibrated | inversion"))
    assert first.endswith("|  |  |  |")
    (plain,) = (x for x in lines if x.startswith("| swap | inversion"))
    assert "| no adapter | +0.0 (+0.0 to +0.0), not told apart |" in plain
    (queries,) = (x for x in lines if "negative_query" in x)
    assert "| swap, colours calibrated | +0.0 (" in queries


def test_a_drawing_of_the_content_is_the_negative_image(painter: Painter) -> None:
    plain = equally("plain", ALL_BLOCKS)
    drawn = equally("drawn", ALL_BLOCKS, draws_content=True)
    assert plain.key != drawn.key
    found = painter.paint(drawn, CASES)
    assert (found - painter.paint(plain, CASES)).abs().max() > 1e-4
    for i in range(len(CASES)):  # whatever other shapes are made beside it
        alone = painter.paint(drawn, CASES.part(slice(i, i + 1)))
        torch.testing.assert_close(alone[0], found[i], rtol=0, atol=1e-3)


def test_a_named_look_has_other_colours_than_the_reference_s(painter: Painter) -> None:
    cases = named_cases(8, seed=1)
    assert cases.named is not None
    names = list(LOOKS)
    both = {frozenset((names[a], names[b])) for a, b in zip(cases.looks, cases.named, strict=True)}
    assert both == set(map(frozenset, COLOUR_PAIRS))
    part = cases.part(slice(0, 2))
    unnamed = replace(part, named=None)
    found, plain = painter.paint(NO_ADAPTER, part), painter.paint(NO_ADAPTER, unnamed)
    assert not torch.equal(found, plain)
    judge = painter.judges[0]
    looks = judge(found)[1].argmax(1).numpy()
    assert judged(judge, found, replace(part, named=looks)).styled.all()
    assert judged(judge, found, replace(part, looks=looks)).leaked.all()


def test_named_looks_and_the_reference_s_have_columns_of_their_own() -> None:
    tried = named.arms()
    one = Outcome(hits(0.9), hits(0.2), hits(0.7))
    *_, last = named.section(tried, [(one, one)] * len(tried))
    shares = [cell.split("%")[0].strip() for cell in last.split("|")[3:6]]
    assert shares == ["90.0", "70.0", "20.0"]


def test_a_quick_run_tries_ways_that_there_are() -> None:
    names = [way.name for way in ways((10,))]
    assert set(QUICK) < set(names)
