"""Every notation of block weights, and what is said about a wrong one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.pure.block_weights import LIMIT, BlockWeights, parse_block_weights
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.layers import SD15, SDXL

STYLE = {6: 1.0}


@pytest.mark.parametrize(
    ("given_value", "layout", "expected"),
    [
        ("up_blocks.0.attentions.1=1", SDXL, STYLE),
        ("up_blocks.0.attentions.1=1; down_blocks.2.attentions.1=0.5", SDXL, {3: 0.5, 6: 1.0}),
        ("output_blocks.1.1:1, input_blocks.8.1:-0.5", SDXL, {3: -0.5, 6: 1.0}),
        ("6:1; 3:0.5", SDXL, {3: 0.5, 6: 1.0}),
        ("6=1;6=0.25", SDXL, {6: 0.25}),
        ("up_blocks.0=1", SDXL, {5: 1.0, 6: 1.0, 7: 1.0}),
        ("*=1; middle_block=0", SD15, {i: 1.0 for i in range(16) if i != 6}),
        ("0,0,0,0,0,0,1,0,0,0,0", SDXL, STYLE),
        ([0] * 6 + [1] + [0] * 4, SDXL, STYLE),
        ([0.5] * 16, SD15, dict.fromkeys(range(16), 0.5)),
        ({"up": {"block_0": [0.0, 1.0, 0.0]}}, SDXL, STYLE),
        ({"down": {"block_2": [0, 1]}, "up": {"block_0": [0, 1, 0]}}, SDXL, {3: 1.0, 6: 1.0}),
        ({"mid": 0.5, "up": {"block_1": [0.25]}}, SDXL, {4: 0.5, 8: 0.25, 9: 0.25, 10: 0.25}),
        ({"mid": [0.5], "down": 1}, SD15, {6: 0.5} | dict.fromkeys(range(6), 1.0)),
        ({"6": 1, "down_blocks.2.attentions.1": "0.5"}, SDXL, {3: 0.5, 6: 1.0}),
        ("", SDXL, {}),
        (None, SDXL, {}),
        ([], SDXL, {}),
    ],
)
def test_notations(given_value, layout, expected):
    assert parse_block_weights(given_value).vector(layout) == expected


@pytest.mark.parametrize(
    ("given_value", "sentence"),
    [
        ("6:1; x y:2", "'x y:2' at character 6"),
        ("6:1; 7:much", "'7:much' at character 6"),
        ("6:1; 0.5", "mixes plain numbers with named entries"),
        ("6:11", "-10 to 10"),
        ("6:nan", "-10 to 10"),
        ([1, "x"], "entry 2"),
        ([True], "entry 1"),
        ({"up": {"block_x": [1]}}, "'block_x'"),
        ({"mid": [1, 2]}, "'mid'"),
        (7, "a text, a list of numbers or an object"),
    ],
)
def test_a_wrong_entry_is_named(given_value, sentence):
    with pytest.raises(InstantStyleError, match=sentence):
        parse_block_weights(given_value)


@pytest.mark.parametrize(
    ("given_value", "layout", "sentence"),
    [
        ("11:1", SDXL, "transformer indices 0 to 10"),
        ("up_blocks.3=1", SDXL, "has no cross-attention in SDXL"),
        ("up_block=1", SDXL, "has no cross-attention in SDXL"),
        ([1] * 11, SD15, "11 numbers; SD1.5 has 16"),
    ],
)
def test_what_does_not_fit_the_checkpoint_is_named(given_value, layout, sentence):
    with pytest.raises(InstantStyleError, match=sentence):
        parse_block_weights(given_value).vector(layout)


numbers = st.floats(-LIMIT, LIMIT).map(lambda x: 0.0 if x == 0 else x)
selectors = st.sampled_from(
    ["*", "0", "15", "mid_block", *(block.diffusers for block in SDXL.blocks)]
)


@given(
    st.one_of(
        st.lists(st.tuples(selectors, numbers), max_size=8).map(lambda e: BlockWeights(tuple(e))),
        st.lists(numbers, max_size=20).map(lambda n: BlockWeights(plain=tuple(n))),
    )
)
def test_written_and_read_again_is_the_same(weights):
    assert parse_block_weights(str(weights)) == weights


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        weights = parse_block_weights(text)
        weights.vector(SDXL)
    except InstantStyleError as error:
        assert str(error).startswith("blocks") and str(error).endswith(".")
    else:
        assert all(math.isfinite(w) for _, w in weights.entries)
