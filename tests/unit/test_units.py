"""What the API and the page may send, and what is said about the rest."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.units.values import Reference
from tests.units import (
    FIELDS,
    PAGE_FIELDS,
    PAGE_PICTURES,
    PICTURES,
    Unit,
    parse_arguments,
    parse_unit,
)


def page_fields(**values):
    """The page's values of one unit, without its pictures."""
    untouched = {name: getattr(Unit(), name) for name in PAGE_FIELDS}
    untouched.update(blocks="", layout_weight=1, boost=1)
    return [{**untouched, **values}[name] for name in PAGE_FIELDS]


def page_pictures(**values):
    return [values.get(name, "") for name in PAGE_PICTURES]


PAGE = [False, *page_fields(), *page_pictures()]


@pytest.mark.parametrize(
    "arguments",
    [[], [None], [False], [""], [None, {"weight": 1}], [False, {"weight": 1}], PAGE],
)
def test_off(arguments):
    assert parse_arguments(arguments) == []


def test_objects_are_units_and_the_defaults_of_other_slots_are_ignored():
    unit = {"image": "aGk=", "weight": "0.5"}
    expected = [Unit(image=(Reference("aGk="),), weight=0.5)]
    assert parse_arguments([unit]) == expected
    assert parse_arguments([unit, *PAGE[1:]]) == expected
    assert parse_arguments([True, unit, *PAGE[2:]]) == expected
    assert parse_arguments([{"units": [unit]}, *PAGE[1:]]) == expected
    assert parse_arguments([unit, {"weight": 2}]) == [*expected, Unit(weight=2.0)]
    assert parse_arguments([unit, {"enabled": False}]) == expected


def test_the_pages_values_are_read_in_their_order():
    given = {"preset": "layout", "weight": 1, "content": "a cat", "start": 0.25, "end": "0.75"}
    image = "data:image/png;base64,AA"
    values = page_fields(**given, adapter="ip-adapter_sdxl", blocks="6:1")
    (unit,) = parse_arguments([True, *values, *page_pictures(image=image, mask="aGk=")])
    assert unit.preset == "layout" and unit.weight == 1.0 and unit.end == 0.75
    assert unit.content == "a cat" and str(unit.blocks) == "6=1"
    assert unit.image == (Reference(image),) and unit.mask == "aGk="


def test_the_page_reaches_every_field_and_its_pictures_come_last():
    assert {*PAGE_FIELDS, *PAGE_PICTURES} == set(FIELDS)
    assert PAGE_PICTURES[-1] == "image" and set(PAGE_PICTURES) == set(PICTURES)


def test_an_untouched_unit_of_the_page_is_all_defaults():
    (unit,) = parse_arguments([True, *PAGE[1:]])
    assert unit.is_untouched and unit == Unit()
    (unit,) = parse_arguments([True, *page_fields(weight=0.9), *page_pictures()])
    assert not unit.is_untouched


@pytest.mark.parametrize(
    ("given", "layout_weight", "boost"),
    [
        ({"preset": "style+layout", "weight": 0.5}, 1.0, None),
        ({"preset": "style+layout", "weight": 0.5, "layout_weight": 0.5}, None, None),
        ({"preset": "style", "weight": 0.5}, None, None),
        ({"preset": "layout", "weight": 0.5}, None, None),
        ({"preset": "style precise", "weight": 0.5, "boost": 2}, None, 2.0),
        ({"preset": "layout precise", "weight": 0.5, "boost": 2}, None, 2.0),
        ({"preset": "style precise", "boost": 2, "blocks": "6:1"}, None, None),
    ],
)
def test_a_slider_that_the_preset_does_not_use_says_nothing(given, layout_weight, boost):
    (unit,) = parse_arguments([True, *page_fields(**given), *page_pictures()])
    assert (unit.layout_weight, unit.boost) == (layout_weight, boost)


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
        ({"adapter": 3}, "unit 1: adapter is 3; the name of an adapter file, or 'auto', is"),
        ({"style": 3}, "unit 1: style is 3; the name of a saved style is allowed"),
        ({"image": 3}, "unit 1: image is 3; a picture as base64"),
        ({"image": "[x"}, "unit 1: image is '.x'; a picture as base64"),
        ({"image": ["a"] * 17}, "it has 17 pictures; up to 16 are allowed."),
        ({"image": {"image": "a", "weight": "x"}}, "the weight of a picture is a number from -10"),
        ({"image": {"image": "a", "mask": "x"}}, ".image.: ..., .weight.: 1} is allowed"),
        ({"mask": ["a", "b"]}, "unit 1: mask is .'a', 'b'.; a picture as base64"),
        ({"mask": {"image": "a", "weight": 2}}, "unit 1: mask is {.*; a picture as base64"),
        ({"time_curve": "sine"}, "time_curve is 'sine'; one of 'constant', 'rising', 'falling'"),
        ({"layout_weight": 6}, "layout_weight is 6; a number from -2 to 5 is allowed."),
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
    assert parse_unit({"image": image}).image == ()
    if not isinstance(image, list):
        assert parse_unit({"mask": image}).mask is None


@pytest.mark.parametrize("image", ["aGk=", {"image": "aGk="}, ["aGk="], [{"image": "aGk="}]])
def test_one_picture_in_all_its_forms(image):
    assert parse_unit({"image": image}).image == (Reference("aGk="),)


def test_several_pictures_with_weights_of_their_own_also_as_json_text():
    given = [{"image": "aGk=", "weight": "0.5"}, "YWE=", None]
    expected = (Reference("aGk=", 0.5), Reference("YWE="))
    assert parse_unit({"image": given}).image == expected
    assert parse_unit({"image": json.dumps(given)}).image == expected


def test_an_empty_number_that_may_be_left_out_is_none():
    assert parse_unit({"layout_weight": "", "boost": None}) == Unit()
    assert parse_unit({"layout_weight": 0}).layout_weight == 0.0


def test_units_of_the_page_come_one_after_the_other_with_their_pictures_behind_them():
    first, second = page_fields(), page_fields(preset="layout")
    pictures = [*page_pictures(image="aGk="), *page_pictures(image="YWE=")]
    units = parse_arguments([True, *first, *second, *pictures])
    assert [unit.preset for unit in units] == ["style", "layout"]
    assert [unit.image for unit in units] == [(Reference("aGk="),), (Reference("YWE="),)]
    assert [unit.number for unit in units] == [1, 2]


def test_units_keep_their_number_where_one_before_them_is_off():
    (unit,) = parse_arguments([{"enabled": False}, {"weight": 2}])
    assert unit.number == 2


def test_too_many_units_are_refused():
    with pytest.raises(InstantStyleError, match="args has 11 units; up to 10 are allowed"):
        parse_arguments([{"units": [{}] * 11}])


@pytest.mark.parametrize(
    ("unit", "acts"),
    [
        ({}, True),
        ({"weight": 0}, False),
        ({"weight": 0, "layout_weight": 1}, True),
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
        assert str(error).endswith(".") and len(str(error)) < 1000
    else:
        assert all(-2 <= unit.weight <= 5 for unit in units)
