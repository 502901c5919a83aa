"""What the trained models must go on showing: all blocks leak, the style blocks give the look and
keep the prompted shape.

`make effect` measures more, with more pictures; its numbers are in docs/effect.md.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.effect.arms import ALL, ALL_BLOCKS, NO_ADAPTER, STYLE, equally, make_cases
from tests.effect.outcome import judged
from tests.effect.painter import Painter
from tests.effect.pairs import TEXTURE_PAIRS
from tests.effect.summary import kept_summary
from tests.trained.family import WEIGHTS, kept_weights
from tests.trained.world import LOOKS

COUNT, SEED = 72, 3  # other cases than those of the report


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """By way: what each judge found."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    painter = Painter(kept_weights(WEIGHTS), tmp_path_factory.mktemp("models"))
    cases = make_cases(COUNT, SEED)
    arms = [NO_ADAPTER, equally(ALL, ALL_BLOCKS), equally(STYLE, kept_summary(WEIGHTS).style)]
    found = {}
    for arm in arms:
        pictures = painter.paint(arm, cases)
        found[arm.name] = [judged(judge, pictures, cases) for judge in painter.judges]
    torch.set_num_threads(before)
    return found


@pytest.fixture(params=[0, 1], ids=["judge", "critic"])
def seen(outcomes, request):
    return {name: found[request.param] for name, found in outcomes.items()}


def test_without_an_adapter_the_prompted_shape_is_painted(seen):
    assert seen[NO_ADAPTER.name].kept.mean() > 0.95
    assert seen[NO_ADAPTER.name].styled.mean() < 0.25  # by chance one in twelve


def test_with_all_blocks_the_reference_s_shape_leaks(seen):
    assert seen[ALL].leaked.mean() >= 0.25


@pytest.mark.parametrize("way", [ALL, STYLE])
def test_the_look_is_the_reference_s(seen, way):
    """Of a pair that texture alone tells apart the base paints either: half of these are lost."""
    names = [name for pair in TEXTURE_PAIRS for name in pair]
    by_texture = np.isin(make_cases(COUNT, SEED).looks, [list(LOOKS).index(n) for n in names])
    assert 0.2 < by_texture.mean() < 0.5
    assert seen[way].styled[~by_texture].mean() > 0.9
    assert seen[way].styled.mean() > 0.7


def test_with_the_style_blocks_the_reference_s_shape_stays_out(seen):
    assert seen[STYLE].leaked.mean() <= seen[ALL].leaked.mean() - 0.2
