"""What the trained models must go on showing: the look arrives, the prompted shape stays.

`make effect` measures more, with more pictures; its numbers are in docs/effect.md.
"""

from __future__ import annotations

import pytest

from tests.effect.arms import Arm, equally, make_cases
from tests.effect.outcome import judged
from tests.effect.painter import Painter
from tests.effect.summary import NO_ADAPTER, STYLE, kept_summary
from tests.trained.family import WEIGHTS, kept_weights

COUNT, SEED = 48, 3  # other cases than those of the report
STEPS = 8  # as many pictures are as they should be as after the 12 of the report


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    painter = Painter(kept_weights(WEIGHTS), tmp_path_factory.mktemp("models"), STEPS)
    cases = make_cases(COUNT, SEED)
    arms = [Arm(NO_ADAPTER, {}), equally(STYLE, kept_summary(WEIGHTS).style)]
    return {arm.name: judged(painter.judge, painter.paint(arm, cases), cases) for arm in arms}


def test_without_an_adapter_the_prompted_shape_is_painted(outcomes):
    assert outcomes[NO_ADAPTER].kept.mean() > 0.9


def test_with_the_style_blocks_the_look_is_the_reference_s(outcomes):
    assert outcomes[STYLE].styled.mean() > 0.8
    assert outcomes[NO_ADAPTER].styled.mean() < 0.3  # by chance one in eight


def test_with_the_style_blocks_the_prompted_shape_stays(outcomes):
    assert outcomes[STYLE].kept.mean() >= outcomes[NO_ADAPTER].kept.mean() - 0.05
