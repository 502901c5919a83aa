"""What a request, a page or an infotext may bring: it is taken, or refused with one sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.methods import TABLE
from lib_instantstyle.pure.block_weights import BlockWeights, parse_block_weights
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.infotext import INFOTEXT_KEY, read, text_to_unit, unit_to_text
from lib_instantstyle.pure.layers import LAYOUTS
from lib_instantstyle.pure.presets import PRESETS
from lib_instantstyle.pure.units import UNIT_LIMIT
from lib_instantstyle.pure.values import Boolean, Number, OneOf, Share
from tests.units import FIELDS, Unit, parse_arguments, parse_unit

SENTENCE = 3000  # characters of the longest: lists of all fields, or of all blocks
BLOCKS = [
    name for layout in LAYOUTS.values() for b in layout.blocks for name in (b.diffusers, b.ldm)
]

words = st.sampled_from(
    ["", "auto", "style", "center", "concat", "both", "true", "0.5", "1e3", "nan", "-1", "*", "6:1",
     "up_blocks.0=1", "[", "[]", '[{"image": "a"}]', "http://x", "data:image/png;base64,", "é\n\0"]
)  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=30)
    | st.integers(-(10**400), 10**400)
)  # fmt: skip
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["image", "weight", "units", "up", "mid", "block_0", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
pictures = st.text("ABCDabcd0123+/=", min_size=1, max_size=8)
blocks = st.builds(
    lambda pairs, a, b: b.join(f"{name}{a}{weight}" for name, weight in pairs),
    st.lists(
        st.tuples(
            st.sampled_from([*BLOCKS, *"0123456789", "15", "16", "*", "mid_block", "up_blocks.1"]),
            st.floats(-11, 11) | st.sampled_from(["1", " 0.5 ", "", "x", "1e400"]),
        ),
        max_size=5,
    ),
    st.sampled_from([*"=: ", " = ", "=="]),
    st.sampled_from([";", ",", "; ", ";;", "\n"]),
)
weights_or_not = st.floats(-2, 2) | st.floats(-2, 2) | scalars
scale_dictionaries = st.dictionaries(
    st.sampled_from(["up", "down", "mid", "side"]),
    weights_or_not
    | st.lists(weights_or_not, max_size=3)
    | st.dictionaries(
        st.sampled_from(["block_0", "block_1", "block_9", "block", "0"]),
        weights_or_not | st.lists(st.floats(-2, 2), max_size=4) | st.lists(scalars, max_size=4),
        max_size=3,
    ),
    max_size=3,
)
tools = st.builds(
    lambda tool, rest: f"{tool}: {rest}",
    st.sampled_from(["ipadapter plus", "controlnet", "reforge", "diffusers", "somebody"]),
    st.sampled_from(["style transfer", "Style (Strong)", "linear", "3:2.5, 6:1", "[0, 1]", "{}"])
    | blocks
    | scale_dictionaries.map(str)
    | scale_dictionaries.map(lambda value: json.dumps(value)[:400])
    | st.lists(st.floats(-2, 2), min_size=10, max_size=17).map(str),
)
NOTATIONS = {
    "names": blocks,
    "other tools": tools,
    "scale dictionaries": scale_dictionaries,
    "JSON text": (scale_dictionaries | st.lists(scalars | st.floats(-2, 2))).map(json.dumps),
    "lists": st.lists(st.floats(-11, 11), max_size=17)
    | st.lists(st.floats(-2, 2), min_size=11, max_size=11),
    "anything": json_values | st.lists(scalars, max_size=17).map(str) | st.text(max_size=40),
}
block_notations = st.one_of(*NOTATIONS.values())


def fitting(name):
    """Values that a field takes, more often than not."""
    parse = FIELDS[name].parse
    if name == "blocks":
        return block_notations
    if isinstance(parse, OneOf):
        return st.sampled_from(parse.words)
    if isinstance(parse, Boolean):
        return st.booleans()
    if isinstance(parse, (Number, Share)):
        numbers = st.floats(0, 1) | st.floats(-2, 5) | st.integers(0, 1)
        return numbers | numbers.map(str)
    if name == "image":
        one = pictures | st.fixed_dictionaries({"image": pictures, "weight": st.floats(-1, 2)})
        return one | st.lists(one, max_size=18)
    return pictures | st.text(max_size=40)


units = st.fixed_dictionaries({}, optional={name: fitting(name) for name in FIELDS})
broken_units = st.dictionaries(st.sampled_from([*FIELDS, "colour"]), json_values, max_size=4)


def taken_or_refused(parse, *arguments):
    """The result, or None where it was refused with a sentence."""
    try:
        return parse(*arguments)
    except InstantStyleError as error:
        sentence = str(error)
        assert "\n" not in sentence and 10 < len(sentence) < SENTENCE, sentence
        assert sentence.endswith("."), sentence
        return None


def refused_in_part(parse, value):
    """A parser of one value says the middle of a sentence."""
    try:
        parse(value)
    except InstantStyleError as error:
        assert 5 < len(str(error)) < SENTENCE


@given(units | broken_units, st.integers(1, UNIT_LIMIT))
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
        assert isinstance(text_to_unit(f"{field}: {text}").unit, Unit)
    assert read({INFOTEXT_KEY.format(1): value}) is None or isinstance(value, str)


@given(st.lists(units | broken_units | json_values, max_size=14))
def test_any_arguments(arguments):
    parsed = taken_or_refused(parse_arguments, arguments)
    assert parsed is None or all(unit.enabled for unit in parsed)


@given(st.lists(units | json_values, max_size=12) | json_values, st.booleans())
def test_any_list_of_units(listed, switch):
    for arguments in ([{"units": listed}], [switch, {"units": listed}], [switch, listed]):
        parsed = taken_or_refused(parse_arguments, arguments)
        assert parsed is None or len(parsed) <= UNIT_LIMIT


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
