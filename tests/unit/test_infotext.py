"""A unit written into infotext and read again."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.methods import TABLE
from lib_instantstyle.run.effect import BlockSpectrum, infotext
from lib_instantstyle.units.block_weights import BlockWeights
from lib_instantstyle.units.choices import COMBINE, EMBEDS_SCALING
from lib_instantstyle.units.infotext import (
    CONTENT_KEY,
    NOTE_KEY,
    OWN_KEY,
    read,
    text_to_unit,
    unit_to_text,
)
from lib_instantstyle.units.presets import PRESETS
from tests.units import Unit

units = st.builds(
    Unit,
    adapter=st.text(string.printable, min_size=1, max_size=30).filter(
        lambda s: s == s.strip() != ""
    ),
    preset=st.sampled_from(list(PRESETS)),
    blocks=st.sampled_from([BlockWeights(), BlockWeights((("6", 1.0), ("mid_block", -0.5)))]),
    weight=st.floats(-2, 5),
    layout_weight=st.none() | st.floats(-2, 5),
    combine=st.sampled_from(COMBINE),
    embeds_scaling=st.sampled_from(EMBEDS_SCALING),
    content=st.text(string.printable, max_size=30).map(str.strip),
    report=st.booleans(),
    start=st.floats(0, 1),
    end=st.floats(0, 1),
)


@given(units, st.text("0123456789abcdef", max_size=12))
def test_written_and_read_again_is_the_same(unit, reference):
    written = text_to_unit(unit_to_text(unit, {"image": reference}), TABLE)
    assert written.unit == unit
    assert written.reference == reference


@pytest.mark.parametrize(
    "content", ["a, b", 'a "b"', "a\\b", "a\nb", "a, weight: 2", '", weight: 2']
)
def test_what_could_end_a_value_is_written_as_a_json_string(content):
    text = unit_to_text(Unit(content=content), {})
    assert text == f"content: {json.dumps(content)}"
    assert text_to_unit(text, TABLE).unit == Unit(content=content)


def test_every_picture_leaves_its_hash():
    hashes = {"image": "1a*0.5 2b", "mask": "3c", "negative_image": "4d"}
    text = unit_to_text(Unit(), hashes)
    assert text == "negative_image: 4d, mask: 3c, reference: 1a*0.5 2b"
    assert text_to_unit(text, TABLE).hashes == hashes


@given(st.text(max_size=80))
def test_any_text_is_read_without_an_error(text):
    text_to_unit(text, TABLE)


def test_defaults_are_left_out():
    assert unit_to_text(Unit(), {"image": "1a2b"}) == "reference: 1a2b"
    assert unit_to_text(Unit(adapter="a", weight=0.8), {"image": "1a2b"}) == (
        "adapter: a, weight: 0.8, reference: 1a2b"
    )


def test_what_a_later_version_wrote_does_not_get_in_the_way():
    written = text_to_unit('sorcery: "a, b", weight: 0.5, preset: unheard of, reference: 12', TABLE)
    assert written.unit == Unit(weight=0.5)
    assert written.reference == "12"


def test_units_are_read_by_their_key():
    params = {"Steps": "3", "InstantStyle 1": "weight: 0.5", "InstantStyle 2": "weight: 2"}
    assert read(params, TABLE).unit.weight == 0.5
    assert read(params, TABLE, 2).unit.weight == 2.0
    assert read({"Steps": "3"}, TABLE) is None
    assert OWN_KEY.fullmatch("InstantStyle 12") and not OWN_KEY.fullmatch("InstantStyle")
    measured = BlockSpectrum(12, 6, "up_blocks.0.attentions.1", (2.0, 1.0), (3.0, 1.0), True)
    keys = [CONTENT_KEY.format(12), NOTE_KEY.format(12), *infotext([], [measured])]
    assert len(keys) == 3 and all(map(OWN_KEY.fullmatch, keys))
