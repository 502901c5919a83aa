"""Every notation of block weights, and what is said about a wrong one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.layout import SD15, SDXL
from lib_instantstyle.units.block_weights import BlockWeights, parse_block_weights
from lib_instantstyle.units.notations import LIMIT, NAMED
from lib_instantstyle.units.presets import PRESETS, BlockWeight

STYLE = {6: 1.0}
ONLY_PLUS = [
    "style transfer precise",
    "composition precise",
    "standard",
    "prompt is more important",
]


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
        ('{"up": {"block_0": [0.0, 1.0, 0.0]}}', SDXL, STYLE),
        (' {"6": 1, "3": 0.5}', SDXL, {3: 0.5, 6: 1.0}),
        ("[0, 0, 0, -0.5, 0, 0, 1, 0, 0, 0, 0]", SDXL, {3: -0.5, 6: 1.0}),
        ('diffusers: {"down": {"block_2": [0, 1]}}', SDXL, {3: 1.0}),
        ("ipadapter plus: 3:2.5, 6:1", SDXL, {3: 2.5, 6: 1.0}),
        ("IPAdapter_plus:\n0:0.0,\n6:1", SDXL, STYLE),
        ("controlnet: [0, 0, 0, -1, 0, 0, 0.7, 0, 0, 0, 0]", SDXL, {6: 0.7}),
        ("ControlNet: 1" + ", 0" * 14 + ", 0.5", SD15, {0: 1.0, 15: 0.5}),
        ("reforge: 0, 0, 0, -1, 0.0, 0, 1, 0, 0, 0, 0", SDXL, {3: -1.0, 6: 1.0}),
        ("reForge: style (strong)", SDXL, dict.fromkeys((0, 1, 2, 6, 7, 8, 9, 10), 1.0)),
        ("reforge: Default", SDXL, dict.fromkeys(range(11), 1.0)),
        ("reforge: Style", SDXL, {2: 1.0, 6: 1.0}),
        ("reforge: Composition", SDXL, {5: 1.0}),
        ("reforge: Composition (Strong)", SDXL, {3: 1.0, 5: 1.0}),
        ("reforge: Style+Composition", SDXL, {2: 1.0, 3: 1.0, 5: 1.0, 6: 1.0}),
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
        ([10**400], "entry 1"),
        ('{"up": [1}', "is no JSON text: Expecting ',' delimiter at character 10"),
        ('diffusers: {"up": [1}', "at character 21"),
        ("[" * 10_000, "is no JSON text: its brackets lie more than 64 deep"),
        ("[" * 100_000, "blocks has 100,000 characters; up to 16,384"),
        ([0] * 257, "blocks has 257 entries; up to 256"),
        ("1;" * 300, "blocks has 300 entries"),
        ({"up": {"block_0": [0] * 300}}, "blocks has 302 entries"),
        ("diffusers: 0.5", "'0.5' at character 12 .*diffusers takes; a scale dictionary"),
        ("controlnet: 1, 2", "controlnet takes; normal, .* or a list of 11 or 16 numbers"),
        ("controlnet: [1, true]", "entry 2"),
        ("controlnet: 1, much", "'much' at character 16"),
        ("controlnet: linear", "'linear' at character 13 .*; normal, ease in"),
        ("controlnet: style transfer precise", "controlnet takes"),
        ("reforge: [1]", "Style .Strong.*a list of 11 numbers"),
        ("reforge:", "reforge takes; Default, Style, "),
        ("ipadapter plus: up_blocks.0:1", "3:2.5, 6:1"),
        ("ipadapter plus: 6:1, 7:x", "'7:x' at character 22"),
        ("ipadapter plus: normal", "ipadapter plus takes; linear"),
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
        ("controlnet: 1" + ", 0" * 15, SDXL, "16 numbers; SDXL has 11"),
        ("reforge: Style", SD15, "'reforge: Style', which exists for SDXL only"),
    ],
)
def test_what_does_not_fit_the_checkpoint_is_named(given_value, layout, sentence):
    with pytest.raises(InstantStyleError, match=sentence):
        parse_block_weights(given_value).vector(layout)


@pytest.mark.parametrize(
    ("text", "preset"),
    [
        ("linear", "original"),
        ("ease in", "depth: ease in"),
        ("ease out", "depth: ease out"),
        ("ease in-out", "depth: ease in-out"),
        ("reverse in-out", "depth: reverse in-out"),
        ("weak input", "depth: weak input"),
        ("weak output", "depth: weak output"),
        ("weak middle", "depth: weak middle"),
        ("strong middle", "depth: strong middle"),
        ("style transfer", "style transfer (IPAdapter plus)"),
        ("composition", "layout"),
        ("strong style transfer", "strong style"),
        ("style and composition", "style+composition (IPAdapter plus)"),
        ("strong style and composition", "strong style+composition"),
        ("style transfer precise", "style precise"),
        ("composition precise", "layout precise"),
        ("standard", "original"),
        ("prompt is more important", "depth: ease out"),
    ],
)
def test_weight_types_of_other_tools(text, preset):
    """ControlNet has those of IPAdapter plus but the precise ones, and calls linear normal."""
    weights = [parse_block_weights(f"ipadapter plus: {text}")]
    if text not in ONLY_PLUS:
        text = "normal" if text == "linear" else text
        weights.append(parse_block_weights(f"ControlNet: {text.title()}"))
    for layout in (SDXL, SD15):
        for found in weights:
            assert found.block_weights(layout, 0.8, 0.5, -1) == PRESETS[preset].block_weights(
                layout, 0.8, 0.5, -1
            )
            assert found.vector(layout) == PRESETS[preset].vector(layout)


def test_own_weights_are_multiplied_by_the_weight_alone():
    weights = parse_block_weights("6:1; 3:-0.5; 2:0")
    assert weights.block_weights(SDXL, 0.8, 0.3, 5.0) == {3: BlockWeight(-0.4), 6: BlockWeight(0.8)}
    assert weights.block_weights(SDXL, 0.0) == {}


numbers = st.floats(-LIMIT, LIMIT).map(lambda x: 0.0 if x == 0 else x)
selectors = st.sampled_from(
    ["*", "0", "15", "mid_block", *(block.diffusers for block in SDXL.blocks)]
)


@given(
    st.one_of(
        st.lists(st.tuples(selectors, numbers), max_size=8).map(lambda e: BlockWeights(tuple(e))),
        st.lists(numbers, max_size=20).map(lambda n: BlockWeights(plain=tuple(n))),
        st.sampled_from(list(NAMED)).map(lambda name: BlockWeights(named=name)),
    )
)
def test_written_and_read_again_is_the_same(weights):
    assert parse_block_weights(str(weights)) == weights


prefixes = st.sampled_from(
    ["", "controlnet: ", "reforge:", "ipadapter plus:", "diffusers: ", "{", "["]
)


@given(st.tuples(prefixes, st.text(max_size=60)).map("".join))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        weights = parse_block_weights(text)
        weights.vector(SDXL)
    except InstantStyleError as error:
        assert str(error).startswith("blocks") and str(error).endswith(".")
    else:
        assert all(math.isfinite(w) for _, w in weights.entries)
