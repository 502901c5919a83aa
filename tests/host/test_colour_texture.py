"""Colours of one picture, texture of another, in a WebUI; a saved style on its way to another."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.host.generations import difference, picture, style
from tests.host.plans import agreed
from tests.host.plots import GRIDS, plot

FIELDS = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5}
COFFEE, SKY = picture("coffee.jpg"), picture("deep_field.jpg")
BOTH = {"image": [COFFEE, SKY], "combine": "colour + texture"}


def run(webui, *units, **fields):
    return webui.txt2img(**{**FIELDS, **fields}, **(style(*units) if units else {}))


@pytest.fixture
def encoded(monkeypatch):
    """The keys of the inputs that the image encoder was asked for, and how many it really saw."""
    from lib_instantstyle.references.vectors import ImageEmbeds

    found, features = [], ImageEmbeds.features

    def seen(self, inputs, *others):
        found.extend(each.key for each in inputs)
        return features(self, inputs, *others)

    monkeypatch.setattr(ImageEmbeds, "features", seen)
    return found


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


@pytest.mark.parametrize("adapter", ["ip-adapter_sdxl_vit-h", "ip-adapter-plus_sdxl_vit-h"])
def test_both_kinds_of_adapters(webui, adapter):
    unit = {**BOTH, "adapter": adapter}
    pictures = {run(webui, unit).pixels[0], run(webui, {**unit, "colour_strength": 0}).pixels[0]}
    assert len(pictures | {run(webui).pixels[0]}) == 3


def test_each_side_changes_the_picture(webui, encoded):
    found = run(webui, BOTH)
    assert [key.partition("; ")[2] for key in encoded] == ["", "grey", "grey", "flat grey"]
    others = [
        {**BOTH, "image": [SKY, COFFEE]},
        {**BOTH, "colour_strength": 2},
        {**BOTH, "texture_strength": 0.5},
        {**BOTH, "texture_damping": 0.05},
        {**BOTH, "combine": "average"},
        {"image": COFFEE, "combine": "colour"},
        {"image": SKY, "combine": "texture"},
        {"image": [{"image": COFFEE, "weight": 0.5}, SKY], "combine": "colour + texture"},
    ]
    pictures = [found.pixels[0], *(run(webui, unit).pixels[0] for unit in others)]
    assert len(set(pictures)) == len(pictures)
    assert "combine: colour + texture" in found.infotexts[0]
    assert run(webui, BOTH).pixels == found.pixels


def test_the_two_sides_add_up(webui):
    """With one side at strength 0 the other one is alone."""
    colours = run(webui, {**BOTH, "texture_strength": 0}).pixels
    assert colours == run(webui, {"image": COFFEE, "combine": "colour"}).pixels
    texture = run(webui, {**BOTH, "colour_strength": 0}).pixels
    assert texture == run(webui, {"image": SKY, "combine": "texture"}).pixels


def test_a_grey_picture_has_no_colours(webui):
    levels = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).convert("RGB").save(file, "PNG")
    grey = base64.b64encode(file.getvalue()).decode()
    both = run(webui, {"image": [grey, SKY], "combine": "colour + texture"})
    assert both.pixels == run(webui, {"image": SKY, "combine": "texture"}).pixels


@pytest.mark.parametrize("adapter", ["ip-adapter_sdxl", "ip-adapter-plus_sdxl_vit-h"])
@pytest.mark.parametrize("side", ["colour", "texture"])
def test_a_saved_style_gives_one_side_beside_a_picture(webui, library, side, adapter):
    unit = {**BOTH, "adapter": adapter, "texture_strength": 0.8, "content": ""}
    of_style, beside = (COFFEE, SKY) if side == "colour" else (SKY, COFFEE)
    weighted = {"image": of_style, "weight": 0.7}
    saved = {"image": [weighted], "combine": side, "adapter": adapter}
    webui.post("/instantstyle/embed", {"name": "side", **saved})
    pictures = [weighted, SKY] if side == "colour" else [COFFEE, weighted]
    expected = run(webui, {**unit, "image": pictures})
    mixed = {**unit, "image": [beside], "style": "side"}
    found = run(webui, mixed)
    assert difference(found.images[0], expected.images[0]) <= 1  # hidden states have 16 bits
    assert difference(found.images[0], run(webui).images[0]) > 2
    assert "style: side" in found.infotexts[0] and "note" not in found.infotexts[0]
    assert not agreed(webui, {**FIELDS, **style(mixed)})
    words = {**mixed, "content": "a cup"}
    if "plus" not in adapter:
        assert run(webui, words).pixels != found.pixels
        plan = webui.post("/instantstyle/plan", style(words)).json()
        (removal,) = plan["units"][0]["content"]
        assert removal["removed"] > 0


BESIDE = {
    "two pictures": ({"image": [COFFEE, SKY]}, "takes one picture beside the style 'side'; 2 came"),
    "no side": ({"image": SKY, "style": "plain"}, "holds neither side by itself"),
    "another combine": (
        {"image": SKY, "combine": "average"},
        "or set combine to 'colour + texture'",
    ),
    "mixed with another side": (
        {"image": SKY, "style_to": "other", "style_mix": 0.5},
        "style_to is 'other', which holds what combine 'texture' takes",
    ),
}


@pytest.mark.parametrize("fields, sentence", BESIDE.values(), ids=BESIDE.keys())
def test_what_cannot_stand_beside_a_picture(webui, library, fields, sentence):
    for name, combine in (("side", "colour"), ("other", "texture"), ("plain", "average")):
        given = {"name": name, "image": COFFEE, "combine": combine}
        assert webui.post("/instantstyle/embed", given).status_code == 200
    unit = {"combine": "colour + texture", "style": "side", **fields}
    assert sentence in agreed(webui, {**FIELDS, **style(unit)})[0]
    saving = {**unit, "name": "new"}
    if "image" in saving:
        refused = webui.post("/instantstyle/embed", saving)
        assert refused.status_code == 422 and "a style is saved from one of" in refused.text
    alone = {"style": "side", "combine": "texture", "name": "new"}
    assert "holds what 'colour' takes" in webui.post("/instantstyle/embed", alone).text


def test_the_views_are_encoded_once(webui, monkeypatch):
    from lib_instantstyle.references.vectors import ImageEmbeds

    run(webui, BOTH)
    monkeypatch.setattr(ImageEmbeds, "_run", None)
    assert run(webui, {**BOTH, "colour_strength": 0.7}).status == 200


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [
        ({**BOTH, "image": [COFFEE]}, "takes two references: the first gives the colours"),
        ({**BOTH, "image": [COFFEE, SKY, COFFEE]}, "; 3 came"),
        ({"image": [COFFEE, SKY], "combine": "texture"}, "its texture alone; 2 came"),
        ({**BOTH, "texture_damping": 1}, "texture_damping is 1; a number from 0 to 0.1"),
    ],
)
def test_what_cannot_be_is_said_by_generation_and_plan(webui, unit, sentence):
    assert sentence in run(webui, unit, expect=422).body["detail"]
    plan = webui.post("/instantstyle/plan", {"units": [unit]}).json()
    assert any(sentence in problem for problem in plan["problems"])


@pytest.fixture
def saved(webui, library):
    from lib_instantstyle.run.style_saving import save_style
    from tests.units import parse_unit

    for name, unit in {
        "ink": {"image": COFFEE},
        "sky": {"image": SKY},
        "many": {"image": [COFFEE, SKY]},
        "tint": {"image": COFFEE, "combine": "colour"},
        "mixed": {**BOTH, "colour_strength": 0.8},
    }.items():
        save_style(parse_unit(unit), name)


def test_a_style_keeps_the_sides_that_it_was_saved_with(webui, saved):
    tint = run(webui, {"image": COFFEE, "combine": "colour"}).images[0]
    assert difference(run(webui, prompt="a cat<instantstyle:tint>").images[0], tint) <= 1
    both = run(webui, {**BOTH, "colour_strength": 0.8}).images[0]
    assert difference(run(webui, prompt="a cat<instantstyle:mixed>").images[0], both) <= 1
    again = run(webui, {"style": "mixed", "combine": "colour + texture", "colour_strength": 0.8})
    assert difference(again.images[0], both) <= 1


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [
        ({"style": "tint"}, "style 'tint' holds what combine 'colour' takes, and nothing else"),
        ({"style": "ink", "combine": "colour"}, "style 'ink' holds no grey copy of its reference"),
        ({"style": "ink", "style_to": "many"}, "style_to is 'many', which has 2 references and"),
        ({"style": "ink", "style_to": "moon"}, "style 'moon' is not among"),
        ({"style": "ink", "style_to": "tint"}, "style 'tint' holds what combine 'colour' takes"),
    ],
)
def test_a_style_that_holds_something_else_is_refused(webui, saved, unit, sentence):
    assert sentence in run(webui, unit, expect=422).body["detail"]


def test_the_way_from_one_style_to_another(webui, saved):
    walk = [
        run(webui, {"style": "ink", "style_to": "sky", "style_mix": share}).images[0]
        for share in (0, 0.25, 0.5, 1)
    ]
    assert difference(walk[0], run(webui, {"style": "ink"}).images[0]) == 0
    assert difference(walk[-1], run(webui, {"style": "sky"}).images[0]) == 0
    whole = difference(walk[0], walk[-1])
    assert 0 < difference(walk[0], walk[1]) <= whole + 8
    assert len({image.tobytes() for image in walk}) == 4


def test_a_plot_walks_along(webui, saved):
    unit = {"style": "ink", "style_to": "sky"}
    answer = plot(
        webui, ("[InstantStyle] style mix", "0, 0.25, 1"), ("Nothing", ""), unit, **FIELDS
    )
    for image, share in zip(answer.pixels[GRIDS:], (0, 0.25, 1), strict=True):
        assert image == run(webui, {**unit, "style_mix": share}).pixels[0]


def test_infotext_brings_the_way_back(webui, saved):
    unit = {"style": "ink", "style_to": "sky", "style_mix": 0.25}
    made = run(webui, unit)
    assert "style_to: sky, style_mix: 0.25" in made.infotexts[0]
    assert webui.txt2img(**FIELDS, infotext=made.infotexts[0]).pixels == made.pixels


@pytest.mark.parametrize("combine", ["concat", "colour", "colour + texture"])
def test_a_plan_without_a_readable_picture_is_an_answer(webui, combine):
    unit = {"image": "no picture", "combine": combine, "noise": "fade", "content": "a cup"}
    answer = webui.post("/instantstyle/plan", {"units": [unit]})
    assert answer.status_code == 200 and answer.json()["problems"]
