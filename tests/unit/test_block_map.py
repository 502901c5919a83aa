"""What the block map draws, and the page's sliders for a unit's weights."""

import pytest

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.layout import LAYOUTS, SD15, SDXL
from lib_instantstyle.methods.ip_adapter.status import advice
from lib_instantstyle.units.block_map import block_map
from lib_instantstyle.units.page_weights import sliders
from lib_instantstyle.units.presets import PRESETS
from tests.units import Unit, parse_unit


def factors(drawn):
    return {i: block["factor"] for i, block in enumerate(drawn["blocks"]) if block["factor"]}


def roles(drawn, role):
    return [i for i, block in enumerate(drawn["blocks"]) if block["role"] == role]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.id)
@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.id)
def test_every_preset_is_drawn_with_its_factors(layout, preset):
    drawn = block_map(layout, Unit(preset=preset.id))
    assert factors(drawn) == {i: f for i, f in preset.vector(layout).items() if f}
    assert drawn["preset"] == preset.id and drawn["own"] is False
    assert [block["name"] for block in drawn["blocks"]] == [b.diffusers for b in layout.blocks]


def test_roles_are_instantstyles():
    sdxl, sd15 = block_map(SDXL, Unit()), block_map(SD15, Unit())
    assert (roles(sdxl, "style"), roles(sdxl, "layout")) == ([6], [3])
    assert (roles(sd15, "style"), roles(sd15, "layout")) == ([7, 8, 9], [4, 5, 6])
    assert [b["part"] for b in sdxl["blocks"]] == ["down"] * 4 + ["middle"] + ["up"] * 6


def test_what_checkpoint_or_adapter_lack_is_marked():
    drawn = block_map(SDXL, Unit(), in_checkpoint=set(range(11)) - {4}, in_adapter={4, 6})
    lacking = [block["lacking"] for block in drawn["blocks"]]
    assert lacking[4] == "checkpoint" and lacking[6] == ""
    assert {lacking[i] for i in range(11) if i not in (4, 6)} == {"adapter"}


def test_own_weights_that_are_a_presets_say_so():
    same = block_map(SDXL, parse_unit({"blocks": "3:1; 6:1"}))
    assert same["own"] is True and same["preset"] == "style+layout"
    other = block_map(SDXL, parse_unit({"blocks": "3:0.4; 6:1"}))
    assert other["preset"] == "" and factors(other) == {3: 0.4, 6: 1.0}


def test_blocks_that_guidance_moves_away_from_are_marked():
    drawn = block_map(SDXL, Unit(preset="style precise"))
    assert [i for i, block in enumerate(drawn["blocks"]) if block["swapped"]] == [3]
    assert drawn["sliders"] == ("boost",)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.id)
def test_cards_are_the_usual_presets_and_the_chosen_one(layout):
    usual = [card["name"] for card in block_map(layout, Unit())["cards"]]
    assert usual == ["style", "style+layout", "style precise", "original"]
    for preset in PRESETS.values():
        cards = block_map(layout, Unit(preset=preset.id))["cards"]
        assert {card["name"] for card in cards} == {*usual, preset.id}
        shown = next(card for card in cards if card["name"] == preset.id)
        assert {i: f for i, f in enumerate(shown["bars"]) if f} == factors(
            block_map(layout, Unit(preset=preset.id))
        )
        assert shown["summary"] == preset.summary
        assert bool(shown["away"]) == ("precise" in preset.id)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(InstantStyleError, match="11 transformers"):
        block_map(SDXL, parse_unit({"blocks": [1] * 16}))


@pytest.mark.parametrize(
    ("preset", "needed"),
    [
        ("style", ()),
        ("layout", ()),
        ("style+layout", ("layout_weight",)),
        ("strong style+composition", ("layout_weight",)),
        ("style precise", ("boost",)),
        ("layout precise", ("boost",)),
        ("original", ()),
        ("no such preset", ()),
    ],
)
def test_a_preset_has_the_sliders_that_it_uses(preset, needed):
    assert sliders(preset) == needed
    assert sliders(preset, " ") == needed and sliders(preset, "6:1") == ()


def test_advice_differs_by_preset_and_family():
    from lib_instantstyle.models.adapter_kind import AdapterKind, LinearShape

    kind = AdapterKind(LinearShape(4, 2048, 1280), 2048, {})
    said = {
        advice(kind, layout, preset)
        for layout in LAYOUTS.values()
        for preset in ("style", "original", "style precise", "layout precise")
    }
    assert len(said) == 7  # "original" is one for both families
    assert "2 away from the rest" in advice(kind, SDXL, "style precise")
