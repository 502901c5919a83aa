"""The damped tail of singular values, against numpy's decomposition of the published code."""

import numpy as np
import pytest
import torch

from lib_instantstyle.methods.ip_adapter.purify import decompose, purified, singular_values
from lib_instantstyle.unet.purify import DAMPED_PART, DampedBanks, last_damped, share
from tests.unit.cs_svd import close, cs_svd, tokens
from tests.units import parse_unit

ONE = torch.ones(1, 1)


def damped(key, value, t, common=ONE, **unit):
    """Keys and values [P, T, h] at `t`."""
    found = purified(parse_unit(unit), key, value, common)
    (banks,) = DampedBanks([found]).at(t).values()
    return banks


# -- the schedule --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "shares"),
    [
        (30, {1: 0.995, 6: 0.881, 9: 0.5, 12: 0.12, 15: 0.018}),
        (8, {1: 0.971, 2: 0.731, 3: 0.182, 4: 0.018}),
        (4, {1: 0.731, 2: 0.018, 3: 0.0, 4: 0.0}),
    ],
)
def test_the_share_is_the_published_one(steps, shares):
    assert {step: share(step / steps) for step in shares} == pytest.approx(shares, abs=1e-3)


def test_late_steps_are_not_damped_at_all():
    assert share(0.87) > 1e-5
    assert share(0.88) == share(1.0) == 0.0
    banks = DampedBanks([purified(parse_unit({"purify": 0.5}), tokens(4), tokens(4), ONE)])
    assert banks.at(0.2) and not banks.at(0.88)


def test_a_step_counts_as_damped_while_one_per_cent_is_left():
    assert share(DAMPED_PART) == pytest.approx(0.01)
    assert [last_damped(range(1, n + 1), n) for n in (4, 8, 20, 30)] == [2, 4, 10, 15]
    assert last_damped(range(3, 21), 20) == 10
    assert last_damped(range(11, 21), 20) == last_damped([], 0) == 0


# -- what is done to the tokens ------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 4, 16, 96, 130], ids=str)
@pytest.mark.parametrize(("alpha", "keep"), [(0.01, 1), (0.2, 0), (2, 1), (0.05, 3)])
@pytest.mark.parametrize("t", [1 / 30, 0.3, 0.5])
def test_tokens_are_those_of_the_published_code(count, alpha, keep, t):
    key, value = tokens(count), tokens(count, seed=1)
    if keep >= count:
        assert purified(parse_unit({"purify": alpha, "purify_keep": keep}), key, value, ONE) is None
        return
    found = damped(key, value, t, purify=alpha, purify_keep=keep)
    for bank, given in zip(found, (key, value)):
        expected = cs_svd(given[0].double().numpy(), keep, alpha, t)
        close(bank[0], expected, atol=2e-5)
        assert keep or count == 1 or not np.allclose(expected, given[0], atol=1e-3)


@pytest.mark.parametrize("keep", [1, 4])
def test_without_the_schedule_a_strong_alpha_leaves_the_best_approximation(keep):
    """Eckart and Young: what is missing has the norm of the tail, and nothing is nearer."""
    key = tokens(16, scale=20)
    (bank,) = damped(key, key, 0.0, purify=2, purify_keep=keep)[0]
    singular = np.linalg.svd(key[0], compute_uv=False)
    assert np.linalg.matrix_rank(bank.numpy(), tol=1e-3) == keep
    missing = float((key[0] - bank).norm())
    assert missing == pytest.approx(np.sqrt((singular[keep:] ** 2).sum()), rel=1e-5)


def test_other_orders_of_tokens_give_the_same_tokens_in_that_order():
    key, order = tokens(6), torch.tensor([3, 0, 5, 1, 4, 2])
    one, other = (damped(each, each, 0.1, purify=0.1)[0, 0] for each in (key, key[:, order]))
    close(other, one[order])


def test_channels_may_be_turned():
    key = tokens(5)
    turn = torch.linalg.qr(tokens(96, seed=3)[0])[0]
    one, other = (damped(each, each, 0.1, purify=0.1)[0, 0] for each in (key, key @ turn))
    close(other, one @ turn)


def test_one_token_of_which_one_value_stays_is_left_alone():
    assert purified(parse_unit({"purify": 2}), tokens(1), tokens(1), ONE) is None


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_no_direction_of_the_tokens_grows(keep):
    """The damping is a matrix A with eigenvalues in (0, 1] on the side of the tokens."""
    key = tokens(8)
    unit = parse_unit({"purify": 0.05, "purify_keep": keep})
    bank = DampedBanks([purified(unit, key, key, ONE)]).at(0.05).popitem()[1][0, 0]
    a = (bank @ torch.linalg.pinv(key[0])).double().numpy()
    close(a, a.T, atol=1e-5)
    values = np.linalg.eigvalsh((a + a.T) / 2)
    assert values.min() > 0 and values.max() <= 1 + 1e-5
    assert (values > 1 - 1e-5).sum() == keep
    assert purified(unit, key, key, ONE).largest(1.0) >= float(bank.abs().max())


def test_relative_values_make_the_effect_the_same_at_every_size():
    key = tokens(4)
    published, relative = (
        [damped(c * key, key, 0.1, purify=alpha, purify_scale=scale)[0] / c for c in (1, 30)]
        for alpha, scale in ((0.05, "published"), (0.5, "relative"))
    )
    close(relative[0], relative[1])
    assert (published[0] - published[1]).abs().max() > 0.1
    singular = np.linalg.svd(key[0].double(), compute_uv=False)
    close(relative[0][0], cs_svd(key[0].double().numpy(), 1, 0.5 / singular[0], 0.1))


@pytest.mark.parametrize("scale", ["published", "relative"])
def test_tokens_of_zeros_stay_zeros(scale):
    zeros = torch.zeros(1, 4, 96)
    assert not damped(zeros, zeros, 0.1, purify=0.5, purify_scale=scale, purify_keep=0).any()


@pytest.mark.parametrize("count", [4, 96, 130])
def test_small_singular_values_are_exact(count):
    """Squares in 32 bits would have lost what is below a thousandth."""
    u, _, vh = np.linalg.svd(tokens(count, seed=5)[0].double().numpy(), full_matrices=False)
    s = np.geomspace(50, 50e-5, min(count, 96))
    left, found, right = decompose(torch.tensor((u * s) @ vh))
    np.testing.assert_allclose(found, s, rtol=1e-4)
    close(left @ right, (u * s) @ vh, atol=1e-10)
    assert singular_values(torch.tensor((u * s) @ vh))[0] == pytest.approx(50)
