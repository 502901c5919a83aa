"""What the API and the page may send, and what is said about the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.units import FIELDS, PAGE_FIELDS, Unit, parse_arguments, parse_unit

PAGE = [False, "style", 1, "", 0.5, 0, 1, "auto", "", ""]


@pytest.mark.parametrize(
    "arguments",
    [[], [None], [False], [""], [None, {"weight": 1}], [False, {"weight": 1}], PAGE],
)
def test_off(arguments):
    assert parse_arguments(arguments) == []


def test_objects_are_units_and_the_defaults_of_other_slots_are_ignored():
    unit = {"image": "aGk=", "weight": "0.5"}
    expected = [Unit(image="aGk=", weight=0.5)]
    assert parse_arguments([unit]) == expected
    assert parse_arguments([unit, *PAGE[1:]]) == expected
    assert parse_arguments([True, unit, *PAGE[2:]]) == expected
    assert parse_arguments([{"units": [unit]}, *PAGE[1:]]) == expected
    assert parse_arguments([unit, {"weight": 2}]) == [*expected, Unit(weight=2.0)]
    assert parse_arguments([unit, {"enabled": False}]) == expected


def test_the_pages_values_are_read_in_their_order():
    values = [True, "layout", 1, "a cat", 0.5, 0.25, "0.75", "ip-adapter_sdxl", "6:1"]
    values.append("data:image/png;base64,AA")
    (unit,) = parse_arguments(values)
    assert unit.preset == "layout" and unit.weight == 1.0 and unit.end == 0.75
    assert unit.content == "a cat" and unit.image == values[-1] and str(unit.blocks) == "6=1"
    assert set(PAGE_FIELDS) <= set(FIELDS)


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [
        ({"wieght": 1}, "unit 1: the field 'wieght' is unknown; allowed are enabled, image"),
        ({"weight": 9}, "unit 1: weight is 9; a number from -2 to 5 is allowed."),
        ({"weight": "much"}, "unit 1: weight is 'much'; a number"),
        ({"weight": True}, "unit 1: weight is True; a number"),
        ({"weight": float("nan")}, "unit 1: weight is nan; a number"),
        ({"start": -0.1}, "unit 1: start is -0.1; a number from 0 to 1"),
        ({"enabled": 1}, "unit 1: enabled is 1; true or false is allowed."),
        ({"preset": "stile"}, "unit 1: preset is 'stile'; one of 'style', 'style.layout'"),
        ({"adapter": 3}, "unit 1: adapter is 3; the name of an adapter file"),
        ({"image": 3}, "unit 1: image is 3; one picture as base64"),
        ({"image": ["a", "b"]}, "one picture"),
        ({"blocks": "x y=1"}, "unit 1: blocks: 'x y=1' at character 1 names no block"),
    ],
)
def test_a_wrong_value_is_named(unit, sentence):
    with pytest.raises(InstantStyleError, match=sentence):
        parse_arguments([unit])


@pytest.mark.parametrize(
    "arguments", [[1], ["style"], [True, "style"], [{"units": 3}], [{"units": [3]}]]
)
def test_other_forms_are_refused(arguments):
    with pytest.raises(InstantStyleError):
        parse_arguments(arguments)


@pytest.mark.parametrize("image", [None, "", [], [None], {"image": ""}, {"image": None}, [""]])
def test_no_picture_in_all_its_forms(image):
    assert parse_unit({"image": image}).image is None


@pytest.mark.parametrize("image", ["aGk=", {"image": "aGk="}, ["aGk="], [{"image": "aGk="}]])
def test_one_picture_in_all_its_forms(image):
    assert parse_unit({"image": image}).image == "aGk="


@pytest.mark.parametrize(
    ("unit", "acts"),
    [
        ({}, True),
        ({"weight": 0}, False),
        ({"start": 0.5, "end": 0.5}, False),
        ({"start": 0.6, "end": 0.5}, False),
        ({"enabled": False}, False),
        ({"weight": -1}, True),
    ],
)
def test_a_unit_that_cannot_change_a_picture_says_so(unit, acts):
    assert parse_unit(unit).acts is acts


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.lists(json_values | st.dictionaries(st.sampled_from(list(FIELDS)), json_values), max_size=9)
)
def test_any_json_is_units_or_a_sentence(arguments):
    try:
        units = parse_arguments(arguments)
    except InstantStyleError as error:
        assert str(error).endswith(".") and len(str(error)) < 600
    else:
        assert all(-2 <= unit.weight <= 5 for unit in units)
