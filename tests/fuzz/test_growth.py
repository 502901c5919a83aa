"""Whatever is repeated in what a stranger sends: twice as much of it is at most twice the work.

Work is counted in lines of Python and calls into C (`tests/unit/steps.py`). The known ways to make
it grow are in tests/unit/test_budgets.py; here the piece that is repeated is any.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.pickles import operations
from tests.fuzz.requests import json_values
from tests.unit.archives import archive_of
from tests.unit.readers import READERS, entry, safetensors, work

FEW, TWICE, OFTEN = 150, 300, 1200
SPARE = 400  # steps that do not depend on the length

special = st.sampled_from(
    ['a: "', '\\"', ", ", ":", "weight: 1, ", "<instantstyle:", ":a=1", ">", "[", "]", "{", "}",
     '{"a":', "6:1;", "up_blocks.0=1", "9", "-", ".", " ", "\n", "\u0315\u0300", "\0", "a"]
)  # fmt: skip
pieces = st.lists(special | st.text(max_size=3), min_size=1, max_size=4).map("".join).filter(bool)
ends = st.lists(special, max_size=2).map("".join)


def check_growth(reader, make):
    """Linear from few to twice and to often, and not only until a budget ends it."""
    work(reader, make(2))  # what is made once
    few, twice, often = (work(reader, make(n)) for n in (FEW, TWICE, OFTEN))
    assert twice <= 2.2 * few + SPARE, (few, twice)
    assert often <= 8.8 * few + SPARE, (few, often)


@pytest.mark.parametrize("reader", ["infotext", "blocks", "tags", "JSON", "names"])
@given(ends, pieces, ends)
@example("", 'a: "b,', "")
def test_a_text_with_any_piece_repeated(reader, begin, piece, end):
    check_growth(reader, lambda n: begin + piece * n + end)


@given(st.sampled_from(["image", "blocks", "mask", "weight", "style", "content"]), ends, pieces)
def test_a_field_with_any_piece_repeated(name, begin, piece):
    check_growth("unit", lambda n: {name: begin + piece * n})


@given(st.sampled_from(["image", "blocks", "start"]), json_values)
def test_a_list_of_any_value_repeated(name, value):
    check_growth("unit", lambda n: {name: [value] * n})


HEADERS = {
    "tensors": lambda name, value, n: {f"{name}{i}": value for i in range(n)},
    "fields": lambda name, value, n: {"a": {**entry(), **{f"{name}{i}": value for i in range(n)}}},
    "dimensions": lambda name, value, n: {"a": {**entry(), "shape": [value] * n}},
    "places": lambda name, value, n: {"a": {**entry(), "data_offsets": [value] * n}},
    "metadata": lambda name, value, n: {"__metadata__": {f"{name}{i}": value for i in range(n)}},
    "a long name": lambda name, value, n: {name * n: value},
}


@pytest.mark.parametrize("where", list(HEADERS))
@given(pieces, json_values | st.just(entry()))
def test_a_header_that_multiplies_any_value(where, name, value):
    def make(n):
        return safetensors(json.dumps(HEADERS[where](name, value, n)).encode())

    check_growth("model file", make)


@given(
    st.lists(operations, max_size=4),
    st.lists(operations, min_size=1, max_size=4),
    st.lists(operations, max_size=3),
)
def test_a_pickle_with_any_operations_repeated(begin, repeated, end):
    def make(n):
        parts = [b"\x80\x02", *begin, *repeated * n, *end, b"."]
        return archive_of(b"".join(parts))

    check_growth("model file", make)


def test_growth_is_noticed():
    """A reader that looks at all that came before is found out."""
    READERS["quadratic"] = lambda text: [
        text[:i].count("a") for i in range(len(text)) for _ in text
    ]
    try:
        with pytest.raises(AssertionError):
            check_growth("quadratic", lambda n: "a" * (n // 5))
    finally:
        del READERS["quadratic"]
