"""Fields that change nothing: a client of the API is told, and the picture is the same without."""

import pytest

from tests.host.generations import UNIT, difference, picture, style
from tests.host.plans import agreed
from tests.units import parse_unit

FIELDS = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64, "seed": 5}
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.9}
STARS = picture("deep_field.jpg")
SWAP = {"image": STARS, "method": "swap"}
ALIGNED = {"image": STARS, "method": "stylealigned"}


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


def run(webui, *units, **fields):
    return webui.txt2img(**{**FIELDS, **fields}, **(style(*units) if units else {}))


CASES = {
    "another method's": ({**UNIT, "gamma": 0.2, "tau": 2}, "gamma and tau do nothing with method"),
    "of adapters": (
        {**SWAP, "content": "a cup", "preset": "layout", "negative_image": STARS},
        "preset, content and negative_image do nothing with method 'swap'; leave them out.",
    ),
    "a weight that switches": (
        {**SWAP, "weight": 0.5},
        "weight only switches method 'swap' on, so that 0.5 acts as 1.",
    ),
    "a reference's weight": (
        {**ALIGNED, "image": {"image": STARS, "weight": 0.5}},
        "the weight of a reference does nothing with method 'stylealigned'",
    ),
    "a weight that the preset lacks": (
        {**UNIT, "preset": "style", "layout_weight": 0.3},
        "layout_weight does nothing with preset 'style'; leave it out.",
    ),
    "a share without a mask": (
        {**UNIT, "content_share": 0.4},
        "content_share does nothing unless content_mode is 'mask'; leave it out.",
    ),
}


@pytest.mark.parametrize("unit, sentence", CASES.values(), ids=CASES.keys())
def test_it_is_said_and_true(webui, unit, sentence):
    answer = run(webui, unit)
    assert sentence in answer.infotexts[0]
    plan = webui.post("/instantstyle/plan", style(unit)).json()
    assert any(sentence in remark for remark in plan["units"][0]["remarks"])
    method = unit.get("method", "ip-adapter")
    bare = {"image": STARS if "method" in unit else UNIT["image"], "method": method}
    assert run(webui, bare).pixels == answer.pixels
    assert "note" not in run(webui, bare).infotexts[0]


USED = {
    "the layout's own weight": {**UNIT, "preset": "layout", "layout_weight": 2.0},
    "the palette's mask": {**SWAP, "palette": 1, "reference_mask": STARS},
    "the palette's pictures": {**SWAP, "palette": 1, "image": {"image": STARS, "weight": 2}},
}


@pytest.mark.parametrize("unit", USED.values(), ids=USED.keys())
def test_what_something_else_uses_is_not_called_useless(webui, unit):
    assert "nothing" not in run(webui, unit).infotexts[0]


def test_words_for_the_leak_meter_are_not_called_useless():
    from lib_instantstyle.units.ineffective import ineffective

    unit = {"image": "one", "method": "swap", "content": "a cup", "content_scale": 1}
    assert list(ineffective(parse_unit(unit)))
    assert not list(ineffective(parse_unit({**unit, "leak_meter": True})))


def test_a_unit_that_is_off_says_nothing(webui):
    off = {**SWAP, "content": "a cup", "enabled": False}
    assert "note" not in run(webui, off).infotexts[0]


@pytest.mark.parametrize("unit", [SWAP, ALIGNED, UNIT], ids=["swap", "stylealigned", "adapter"])
@pytest.mark.parametrize("which", ["base", "hires"])
def test_the_pass_of_hires_fix_counts_for_every_method(webui, unit, which):
    plain, both = run(webui, **HIRES), run(webui, unit, **HIRES)
    one = run(webui, {**unit, "hires_pass": which}, **HIRES)
    assert one.pixels not in (plain.pixels, both.pixels)
    assert "note" not in one.infotexts[0]
    first = run(webui, {**unit, "hires_pass": which}).images[0]
    untouched = difference(first, run(webui).images[0]) == 0
    assert untouched == (which == "hires")
    assert (
        bool(
            webui.post(
                "/instantstyle/plan", {**FIELDS, **style({**unit, "hires_pass": which})}
            ).json()["units"][0]["idle"]
        )
        == untouched
    )
    assert not agreed(webui, {**FIELDS, **HIRES, **style({**unit, "hires_pass": which})})
