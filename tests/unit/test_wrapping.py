"""A method replaced until it is unwrapped, and nothing left behind."""

import copy
from types import SimpleNamespace

import pytest

from lib_instantstyle.hosts.wrapping import unwrap, wrap_calls


class Sampler:
    def launch(self, steps):
        return [steps]


def around(previous, *args):
    return [*previous(*args), "styled"]


def test_every_call_until_it_is_unwrapped():
    sampler = Sampler()
    wrap_calls(sampler, "launch", around)
    assert sampler.launch(3) == [3, "styled"]
    assert sampler.launch(4) == [4, "styled"]
    unwrap(sampler, "launch")
    assert vars(sampler) == {}
    assert sampler.launch(3) == [3]
    unwrap(sampler, "launch")  # nothing to do


def test_asked_twice_it_wraps_once():
    sampler = Sampler()
    for _ in range(2):
        wrap_calls(sampler, "launch", around)
    assert sampler.launch(3) == [3, "styled"]
    unwrap(sampler, "launch")
    assert vars(sampler) == {}


def test_two_methods_of_one_object():
    sampler = Sampler()
    sampler.other = Sampler().launch
    kept = dict(vars(sampler))
    wrap_calls(sampler, "launch", around)
    wrap_calls(sampler, "other", around)
    unwrap(sampler, "launch")
    assert (sampler.launch(3), sampler.other(3)) == ([3], [3, "styled"])
    unwrap(sampler, "other")
    assert vars(sampler) == kept


def test_what_stood_in_the_instance_comes_back():
    own = lambda steps: ["own", steps]  # noqa: E731
    sampler = SimpleNamespace(launch=own)
    wrap_calls(sampler, "launch", around)
    assert sampler.launch(3) == ["own", 3, "styled"]
    unwrap(sampler, "launch")
    assert sampler.launch is own


def test_an_error_leaves_it_as_it_was():
    sampler = Sampler()

    def fail(previous, *args):
        raise ZeroDivisionError

    wrap_calls(sampler, "launch", fail)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            sampler.launch(3)
    unwrap(sampler, "launch")
    assert sampler.launch(3) == [3]


def test_a_call_within_a_call_is_not_styled_twice():
    sampler = Sampler()

    def again(previous, steps):
        return [*previous(steps), *(sampler.launch(steps - 1) if steps else []), "styled"]

    wrap_calls(sampler, "launch", again)
    assert sampler.launch(1) == [1, 0, "styled"]


def test_wrapped_by_another_it_acts_as_often_as_it_is_called_and_passes_on_when_off():
    sampler = Sampler()
    wrap_calls(sampler, "launch", around)
    ours = sampler.launch
    sampler.launch = lambda steps: [*ours(steps), "other", *ours(steps)]
    assert sampler.launch(3) == [3, "styled", "other", 3, "styled"]
    unwrap(sampler, "launch")
    assert sampler.launch(3) == [3, "other", 3]
    wrap_calls(sampler, "launch", around)
    assert sampler.launch(3) == [3, "other", 3, "styled"]


def test_a_copy_is_unwrapped_by_itself():
    sampler = Sampler()
    wrap_calls(sampler, "launch", around)
    other = copy.copy(sampler)
    unwrap(other, "launch")
    assert vars(other) == {}
    assert (sampler.launch(3), other.launch(3)) == ([3, "styled"], [3])
