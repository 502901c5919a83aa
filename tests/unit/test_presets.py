"""Every preset's numbers, as the tools that they come from publish them."""

import pytest

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.layout import LAYOUTS, SD15, SDXL
from lib_instantstyle.units.presets import PRESETS, BlockWeight, Preset, WeightFactor

W, LAYOUT, BOOST = 0.8, 0.5, -1.5  # told apart in every product below


def of(indices, weight, swapped=False):
    return dict.fromkeys(indices, BlockWeight(pytest.approx(weight), swapped))


def listed(text, by=W):
    return {
        i: BlockWeight(pytest.approx(float(x) * by, abs=5e-5)) for i, x in enumerate(text.split())
    }


ALL_SDXL, ALL_SD15 = range(11), range(16)
STYLE_SD15 = [0, 1, 2, 3, *range(9, 16)]

# By preset: what SDXL's transformers 0..10 get and what SD1.5's 0..15 get, at weight 0.8, layout
# weight 0.5 and boost -1.5.
TABLE = {
    "style": (of([6], W), of([7, 8, 9], W)),
    "style+layout": (
        of([3], LAYOUT) | of([6], W),
        of([4, 5, 6], LAYOUT) | of([7, 8, 9], W),
    ),
    "layout": (of([3], LAYOUT), of([4], 0.25 * LAYOUT) | of([5], LAYOUT)),
    "original": (of(ALL_SDXL, W), of(ALL_SD15, W)),
    "strong style": (
        of([0, 1, 2, 4, 5, 6, 7, 8, 9, 10], W),
        of([0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], W),
    ),
    "style+composition (IPAdapter plus)": (
        of([3], LAYOUT) | of([6], W),
        of(STYLE_SD15, W) | of([4], 0.25 * LAYOUT) | of([5], LAYOUT),
    ),
    "strong style+composition": (
        of(ALL_SDXL, W) | of([3], LAYOUT),
        of(ALL_SD15, W) | of([4, 5], LAYOUT),
    ),
    "style transfer (IPAdapter plus)": (of([6], W), of(STYLE_SD15, W)),
    "style precise": (
        of([3], BOOST, swapped=True) | of([6], W),
        of(STYLE_SD15, W) | of([4], 0.25 * BOOST, swapped=True) | of([5], BOOST, swapped=True),
    ),
    "layout precise": (
        of(ALL_SDXL, 0.1 * BOOST, swapped=True) | of([6], BOOST, swapped=True) | of([3], LAYOUT),
        of(STYLE_SD15, BOOST, swapped=True)
        | of([6, 7, 8], 0.1 * BOOST, swapped=True)
        | of([4], 0.25 * LAYOUT)
        | of([5], LAYOUT),
    ),
    "depth: ease in": (
        listed("1 .9136 .8273 .7409 .6545 .5682 .4818 .3955 .3091 .2227 .1364"),
        listed(
            "1 .9406 .8812 .8219 .7625 .7031 .6438 .5844 "
            ".525 .4656 .4062 .3469 .2875 .2281 .1688 .1094"
        ),
    ),
    "depth: ease out": (
        listed(".05 .1364 .2227 .3091 .3955 .4818 .5682 .6545 .7409 .8273 .9136"),
        listed(
            ".05 .1094 .1688 .2281 .2875 .3469 .4062 .4656 "
            ".525 .5844 .6438 .7031 .7625 .8219 .8812 .9406"
        ),
    ),
    "depth: ease in-out": (
        listed(".05 .2227 .3955 .5682 .7409 .9136 .9136 .7409 .5682 .3955 .2227"),
        listed(
            ".05 .1688 .2875 .4062 .525 .6438 .7625 .8812 "
            "1 .8812 .7625 .6438 .525 .4062 .2875 .1688"
        ),
    ),
    "depth: reverse in-out": (
        listed("1 .8273 .6545 .4818 .3091 .1364 .1364 .3091 .4818 .6545 .8273"),
        listed(
            "1 .8812 .7625 .6438 .525 .4062 .2875 .1688 "
            ".05 .1688 .2875 .4062 .525 .6438 .7625 .8812"
        ),
    ),
    "depth: weak input": (
        of(ALL_SDXL, W) | of(range(4), 0.2 * W),
        of(ALL_SD15, W) | of(range(6), 0.2 * W),
    ),
    "depth: weak output": (
        of(ALL_SDXL, W) | of(range(5, 11), 0.2 * W),
        of(ALL_SD15, W) | of(range(7, 16), 0.2 * W),
    ),
    "depth: weak middle": (
        of(ALL_SDXL, W) | of([4], 0.2 * W),
        of(ALL_SD15, W) | of([6], 0.2 * W),
    ),
    "depth: strong middle": (
        of(ALL_SDXL, 0.2 * W) | of([4], W),
        of(ALL_SD15, 0.2 * W) | of([6], W),
    ),
}


def test_the_table_names_every_preset():
    assert list(PRESETS) == list(TABLE)
    assert all(p.id == name and p.summary and p.origin for name, p in PRESETS.items())


@pytest.mark.parametrize("preset", TABLE)
@pytest.mark.parametrize(("layout", "column"), [(SDXL, 0), (SD15, 1)], ids=["sdxl", "sd15"])
def test_gains(preset, layout, column):
    assert PRESETS[preset].block_weights(layout, W, LAYOUT, BOOST) == TABLE[preset][column]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.id)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.id)
def test_weights_not_given_are_the_weight(preset, layout):
    vector = preset.vector(layout)
    block_weights = preset.block_weights(layout, -2.0)
    assert {i: block_weight.weight for i, block_weight in block_weights.items()} == {
        i: -2.0 * f for i, f in vector.items()
    }
    assert list(vector) == sorted(vector)


def test_zero_weights_are_left_out():
    assert PRESETS["style+layout"].block_weights(SDXL, 1.0, layout_weight=0.0) == {
        6: BlockWeight(1.0)
    }
    assert PRESETS["style+layout"].block_weights(SDXL, 0.0, layout_weight=0.5) == {
        3: BlockWeight(0.5)
    }
    assert PRESETS["style precise"].block_weights(SDXL, 1.0, boost=0.0) == {6: BlockWeight(1.0)}
    assert PRESETS["original"].block_weights(SDXL, 0.0) == {}


def test_a_preset_of_another_layout_is_refused():
    preset = Preset("one", "", "", {SDXL.id: {6: WeightFactor(1.0)}})
    for ask in (preset.vector, lambda layout: preset.block_weights(layout, 1.0)):
        with pytest.raises(InstantStyleError, match=r"'one', which exists for SDXL only.* SD1\.5"):
            ask(SD15)
