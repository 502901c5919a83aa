"""Damped tokens in a live UNet: which rows, in which steps, and at what cost."""

from collections import Counter

import pytest
import torch

from lib_instantstyle.unet import purify
from lib_instantstyle.unet.injection import Clock, Injection
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from tests.operations import VIEWS as SOME_VIEWS
from tests.operations import Operations
from tests.unit.cs_svd import terms_of
from tests.unit.injection_world import ROWS
from tests.unit.two_adapters import Adapters
from tests.units import parse_unit

STEPS = 30
VIEWS = (*SOME_VIEWS, "unbind")
LAYERS = 3  # of the style preset in SD1.5
ON = {"purify": 0.5}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return Adapters(tmp_path_factory.mktemp("adapters"))


class Sampling:
    """The hooks of a plan, asked for one UNet call after the other."""

    def __init__(self, both, terms):
        self._both = both
        self._step, self._rows = 0, ROWS[0]
        clock = Clock(lambda call: self._rows, lambda: self._step / STEPS, STEPS)
        self._injection = Injection(Plan(tuple(terms)), clock)

    def __call__(self, step, rows=ROWS[0]):
        """The output in `step`, from 1; the hooks keep what they know from the calls before."""
        self._step, self._rows = step - 1, rows
        world = self._both.world
        if self._injection.unet is None:
            self._injection.attach(world.unet, self._both.layers)
        with torch.no_grad():
            return world.run()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._injection.detach()


def terms(both, unit, references=1, oracle_at=None):
    weights = [1.0, 0.5, -0.8][:references]
    return terms_of(both, parse_unit(unit), both.vectors[:references], weights, oracle_at)


def output(both, terms, step=1, rows=ROWS[0]):
    with Sampling(both, terms) as sampling:
        return sampling(step, rows)


@pytest.mark.parametrize(
    "unit", [{"purify": 0}, {**ON, "purify_keep": 4}, {**ON, "purify_keep": 9}]
)
def test_off_is_off_bit_by_bit(both, unit):
    assert torch.equal(output(both, terms(both, unit)), output(both, terms(both, {})))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("step", [1, 6, 12])
@pytest.mark.parametrize(
    "unit",
    [
        {},
        {"preset": "original", "embeds_scaling": "K+mean(V) w/ C penalty"},
        {"preset": "style precise", "boost": 2},
    ],
    ids=["style", "everywhere", "negated"],
)
def test_a_picture_is_that_of_tokens_damped_by_numpy(both, unit, step, rows):
    unit = {**ON, "purify_scale": "relative", **unit}
    found = output(both, terms(both, unit, references=2), step, rows)
    expected = output(both, terms(both, unit, 2, oracle_at=step / STEPS), step, rows)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_each_reference_is_damped_for_its_own_picture(both):
    rows = (PROMPT, PROMPT + 2, NEGATIVE, NEGATIVE + 2)
    unit = {**ON, "combine": "each"}
    found = output(both, terms(both, unit, 2), 1, rows)
    expected = output(both, terms(both, unit, 2, oracle_at=1 / STEPS), 1, rows)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    swapped = (PROMPT + 2, PROMPT, NEGATIVE, NEGATIVE + 2)
    assert (output(both, terms(both, unit, 2), 1, swapped) - found).abs().max() > 1e-3


@pytest.mark.parametrize("rows", ROWS)
def test_rows_of_the_negative_prompt_are_the_same_bit_by_bit(both, rows):
    plain, found = (output(both, terms(both, unit), 1, rows) for unit in ({}, ON))
    for row, kind in enumerate(rows):
        assert torch.equal(plain[row], found[row]) is (kind == NEGATIVE)


def test_in_negated_blocks_it_is_the_negative_rows_that_change(both):
    unit = {"preset": "style precise"}
    plain, damped = (
        [term for term in terms(both, each) if term.layer.block.index in (4, 5)]
        for each in (unit, {**ON, **unit})
    )
    assert damped and all(term.purify.first == 1 for term in damped)
    plain, found = (output(both, each) for each in (plain, damped))
    for row, kind in enumerate(ROWS[0]):
        assert torch.equal(plain[row], found[row]) is (kind == PROMPT)


def test_late_steps_are_the_same_bit_by_bit_whatever_came_before(both):
    with Sampling(both, terms(both, ON)) as damped, Sampling(both, terms(both, {})) as plain:
        early = [damped(step) for step in (1, 5, 20)]
        expected = plain(1)
        assert all((one - expected).abs().max() > 1e-6 for one in early)
    with Sampling(both, terms(both, ON)) as damped:
        for step in (1, 26):
            assert not torch.equal(damped(step), expected)
        for step in (27, 30):
            assert torch.equal(damped(step), expected)
        # Hires fix's next pass has hooks of its own; a sampler that goes back has not.
        assert torch.equal(damped(1), early[0])


def test_calls_of_one_kind_follow_the_steps_each(both):
    """Prompt and negative prompt may be called apart, and several times in a step."""
    unit = {**ON, "preset": "style precise"}
    calls = [(step, (kind,) * 4) for step in (1, 1, 2, 7, 7, 28) for kind in (PROMPT, NEGATIVE)]
    alone = [output(both, terms(both, unit), *call) for call in calls]
    with Sampling(both, terms(both, unit)) as sampling:
        found = [sampling(*call) for call in calls]
    assert all(torch.equal(one, other) for one, other in zip(found, alone, strict=True))


def test_a_unit_beside_it_is_not_touched(both):
    """Two units are attended to at once; the other's tokens stay bit by bit."""
    other = both.terms(both.second, {}, both.vectors[1:2])
    with Sampling(both, [*other, *terms(both, ON)]) as sampling:
        found = [sampling(step) for step in (1, 4, 28)]
    with Sampling(both, [*other, *terms(both, {})]) as sampling:
        assert torch.equal(sampling(28), found[2])
    for step, one in zip((1, 4), found):
        oracle = terms(both, ON, oracle_at=step / STEPS)
        expected = output(both, [*other, *oracle], step)
        torch.testing.assert_close(one, expected, atol=2e-5, rtol=0)


def test_a_bank_in_half_precision_gets_rounded_rows_and_keeps_the_others():
    damped = torch.randn(2, 3, 4, 6)
    bank = torch.zeros(2, 6, 2, 4, 3, dtype=torch.float16)
    purify.overwrite(bank, damped, [1, 1, -1, 0, 3, 2])
    assert not bank[:, [2, 4]].any()
    for row, served in ((0, 1), (1, 1), (3, 0), (5, 2)):
        by_head = bank[:, row].transpose(1, 2).flatten(2)
        assert torch.equal(by_head, damped[:, served].half())


# -- costs ---------------------------------------------------------------------------------------


def counted(sampling, step):
    with Operations() as operations:
        sampling(step)
    return operations.seen


def test_a_new_step_costs_four_operations_in_all_and_a_copy_in_each_layer(both):
    with Sampling(both, terms(both, {})) as plain:
        plain(1)
        without = counted(plain, 2)
    with Sampling(both, terms(both, ON)) as damped:
        damped(1)
        first, again = counted(damped, 2), counted(damped, 2)
        late = [counted(damped, step) for step in (27, 28)]
    more = {name: n for name, n in (first - without).items() if name not in VIEWS}
    assert more == {"mul": 2, "exp": 1, "bmm": 1, "copy_": LAYERS}
    for seen in (again, late[1]):  # in a step that has begun, and where nothing is damped
        assert Counter({n: c for n, c in (seen - without).items() if n not in VIEWS}) == {}


def test_tokens_are_decomposed_when_the_plan_is_made_and_never_after(both, monkeypatch):
    made = terms(both, ON)
    monkeypatch.setattr(torch.linalg, "eigh", lambda *args: pytest.fail("decomposed again"))
    with Sampling(both, made) as sampling:
        for step in (1, 2, 3):
            sampling(step)
