"""A weight that is found: the ratio of what is added to what is there."""

import pytest
import torch

from lib_instantstyle.unet.auto_weight import LARGEST_FACTOR, AutoWeight
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.injection import Clock, Injection
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from tests.unit.plans import plan
from tests.unit.two_adapters import ROWS, Adapters


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return Adapters(tmp_path_factory.mktemp("adapters"))


def measured(both, unit, vector, calls=2, rows=ROWS):
    """The picture of the last call, the ratio over all layers of it, and the factor found."""
    meter = EffectMeter()
    terms = both.terms(both.first, unit, vector[None])
    injection = Injection(plan(terms), Clock(lambda call: rows, lambda: 0.0), meter)
    with torch.no_grad():
        injection.attach(both.world.unet, both.layers)
        try:
            for _ in range(calls):
                out = both.world.run()
        finally:
            injection.detach()
    sums = torch.stack(list(meter._sums.values())).sum(dim=0)
    return out, float((sums[0] / sums[1]).sqrt()), injection.auto


@pytest.mark.parametrize("preset", ["style", "original"])
def test_references_of_different_strength_come_to_the_same_share(both, preset):
    vectors = [0.1 * both.vectors[1], both.vectors[2]]
    plain = [measured(both, {"preset": preset}, v)[1] for v in vectors]
    unit = {"preset": preset, "auto_weight": 0.3}
    found = [measured(both, unit, v)[1] for v in vectors]
    assert abs(plain[0] / plain[1] - 1) > 0.1
    assert found == pytest.approx([0.3, 0.3], rel=0.15)


def test_the_first_call_is_measured_and_the_next_ones_keep_its_factor(both):
    _, _, auto = measured(both, {"auto_weight": 0.3}, both.vectors[0], calls=1)
    once = auto[1].found()
    _, _, auto = measured(both, {"auto_weight": 0.3}, both.vectors[0], calls=3)
    assert auto[1].found() == once


def test_it_grows_with_its_target_and_with_the_weight(both):
    targets = [0.05, 0.1, 0.2, 0.4]
    ratios = [measured(both, {"auto_weight": t}, both.vectors[0])[1] for t in targets]
    assert ratios == sorted(ratios) and ratios[-1] > 4 * ratios[0]
    weighted = measured(both, {"auto_weight": 0.1, "weight": 2}, both.vectors[0])[1]
    assert weighted == pytest.approx(ratios[2], rel=1e-3)
    negative = measured(both, {"auto_weight": 0.1, "weight": -2}, both.vectors[0])
    assert negative[1] == pytest.approx(weighted, rel=0.2)


def test_it_is_the_same_each_time_and_off_by_default(both):
    unit = {"auto_weight": 0.3}
    first, again = (measured(both, unit, both.vectors[0])[0] for _ in range(2))
    assert torch.equal(first, again)
    assert measured(both, {}, both.vectors[0])[2] == {}


def test_what_adds_next_to_nothing_is_not_blown_up():
    auto = AutoWeight(1.0)
    there, image = torch.ones(1, 4, 8), torch.full((1, 4, 8), 1e-6)
    assert auto.factor(there, image, 1.0, (PROMPT,), 1) == LARGEST_FACTOR
    nothing = AutoWeight(1.0)
    assert nothing.factor(there, 0 * image, 1.0, (PROMPT,), 1) == 1.0


def test_layers_of_different_weight_are_measured_together():
    """Norm of all that is added over norm of all that is there: 0.6 of ones, 0.8 of ones."""
    auto = AutoWeight(1.0)
    there = torch.ones(1, 4, 8)
    assert float(auto.factor(there, there, 0.6, (PROMPT,), 1)) == pytest.approx(1 / 0.6)
    assert float(auto.factor(there, there, 0.8, (PROMPT,), 1)) == pytest.approx(2**0.5)
    nothing_there = 0 * there
    assert float(auto.factor(nothing_there, there, 0.0, (PROMPT,), 1)) == pytest.approx(2**0.5)


def test_negative_rows_alone_are_not_measured():
    auto = AutoWeight(0.5)
    there, image = torch.ones(2, 1, 4, 8)
    assert auto.factor(there, image, 1.0, (NEGATIVE,), 1) is None
    assert auto.factor(there, image, 2.0, (PROMPT,), 2) == 0.25
    assert auto.factor(there, 3 * image, 2.0, (NEGATIVE,), 3) == 0.25
    assert auto.found() == 0.25
