"""What a request, a page or an infotext may bring: it is taken, or refused with one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.layout import LAYOUTS
from lib_instantstyle.limits import UNITS
from lib_instantstyle.methods import TABLE
from lib_instantstyle.units.block_weights import BlockWeights, parse_block_weights
from lib_instantstyle.units.infotext import INFOTEXT_KEY, read, text_to_unit, unit_to_text
from lib_instantstyle.units.presets import PRESETS
from tests.fuzz.requests import (
    NOTATIONS,
    SENTENCE,
    broken_units,
    json_values,
    taken_or_refused,
    units,
)
from tests.units import FIELDS, Unit, parse_arguments, parse_unit


def refused_in_part(parse, value):
    """A parser of one value says the middle of a sentence."""
    try:
        parse(value)
    except InstantStyleError as error:
        assert 5 < len(str(error)) < SENTENCE


@given(units | broken_units, st.integers(1, UNITS))
def test_any_unit(given_unit, number):
    unit = taken_or_refused(parse_unit, given_unit, number)
    assert unit is None or (unit.number == number and unit.acts in (True, False))


@given(units)
def test_a_unit_goes_through_infotext_and_back(given_unit):
    unit = taken_or_refused(parse_unit, given_unit)
    if unit is None:
        return
    written = unit_to_text(unit, {"image": "1a2b3c", "mask": ""})
    again = text_to_unit(written, TABLE)
    assert again.reference == "1a2b3c"
    assert unit_to_text(again.unit, {"image": "1a2b3c"}) == written


@given(st.text() | st.text('abcdef_:,"\\{}[] 01', max_size=60), json_values)
def test_any_infotext(text, value):
    assert isinstance(text_to_unit(text, TABLE).unit, Unit)
    name = next(iter(FIELDS))
    for field in (*FIELDS, name):
        assert isinstance(text_to_unit(f"{field}: {text}", TABLE).unit, Unit)
    assert read({INFOTEXT_KEY.format(1): value}, TABLE) is None or isinstance(value, str)


@given(st.lists(units | broken_units | json_values, max_size=14))
def test_any_arguments(arguments):
    parsed = taken_or_refused(parse_arguments, arguments)
    assert parsed is None or all(unit.enabled for unit in parsed)


@given(st.lists(units | json_values, max_size=12) | json_values, st.booleans())
def test_any_list_of_units(listed, switch):
    for arguments in ([{"units": listed}], [switch, {"units": listed}], [switch, listed]):
        parsed = taken_or_refused(parse_arguments, arguments)
        assert parsed is None or len(parsed) <= UNITS


@pytest.mark.parametrize("name", list(FIELDS))
@given(value=json_values)
def test_any_value_of_a_field(name, value):
    refused_in_part(FIELDS[name].parse, value)


@pytest.mark.parametrize("kind", list(NOTATIONS))
@given(data=st.data())
def test_any_block_weights(kind, data):
    value = data.draw(NOTATIONS[kind])
    weights = taken_or_refused(parse_block_weights, value)
    if weights is None:
        return
    assert isinstance(weights, BlockWeights)
    for layout in LAYOUTS.values():
        block_weights = taken_or_refused(weights.block_weights, layout, 1.0)
        vector = taken_or_refused(weights.vector, layout)
        assert (block_weights is None) == (vector is None)
        if vector is not None:
            assert vector.keys() <= set(range(len(layout.blocks)))
            assert all(weight and abs(weight) <= 10 for weight in vector.values())
            again = parse_block_weights(str(weights))
            assert again.vector(layout) == vector


@given(
    st.sampled_from(list(PRESETS)),
    st.sampled_from(list(LAYOUTS)),
    st.floats(-2, 5),
    st.none() | st.floats(-2, 5),
    st.none() | st.floats(-5, 5),
)
def test_any_weights_of_a_preset(preset, layout, weight, layout_weight, boost):
    block_weights = PRESETS[preset].block_weights(LAYOUTS[layout], weight, layout_weight, boost)
    assert block_weights.keys() <= set(range(len(LAYOUTS[layout].blocks)))
    assert all(block_weight.weight for block_weight in block_weights.values())
