"""A method replaced for its next call, and nothing left behind."""

from types import SimpleNamespace

import pytest

from lib_instantstyle.hosts.wrapping import unwrap, wrap_next_call


class Sampler:
    def launch(self, steps):
        return [steps]


def around(previous, *args):
    return [*previous(*args), "styled"]


def test_the_next_call_and_no_other():
    sampler = Sampler()
    wrap_next_call(sampler, "launch", around)
    assert sampler.launch(3) == [3, "styled"]
    assert "launch" not in vars(sampler)
    assert sampler.launch(3) == [3]


def test_asked_twice_it_wraps_once():
    sampler = Sampler()
    for _ in range(2):
        wrap_next_call(sampler, "launch", around)
    assert sampler.launch(3) == [3, "styled"]


def test_what_stood_in_the_instance_comes_back():
    own = lambda steps: ["own", steps]  # noqa: E731
    sampler = SimpleNamespace(launch=own)
    wrap_next_call(sampler, "launch", around)
    assert sampler.launch(3) == ["own", 3, "styled"]
    assert sampler.launch is own


def test_an_error_leaves_nothing_either():
    sampler = Sampler()

    def fail(previous, *args):
        raise ZeroDivisionError

    wrap_next_call(sampler, "launch", fail)
    with pytest.raises(ZeroDivisionError):
        sampler.launch(3)
    assert "launch" not in vars(sampler)


def test_wrapped_by_another_it_acts_once_and_is_passed_through_later():
    sampler = Sampler()
    wrap_next_call(sampler, "launch", around)
    ours = sampler.launch
    sampler.launch = lambda steps: ["other", *ours(steps)]
    unwrap(sampler, "launch")  # not ours any more, so it is left alone
    assert sampler.launch(3) == ["other", 3, "styled"]
    assert sampler.launch(3) == ["other", 3]
