"""Colours and texture of references, and the palette, in a WebUI: the miniature or a real one."""

from __future__ import annotations

import pytest

from tests.webui.client import difference
from tests.webui.conftest import either_family
from tests.webui.ways import COFFEE, STARS, WAYS

CHOSEN = ["txt2img", "cfg 1", "batch 2 x 2", "hires fix", "img2img", "DDIM", "Heun", "DPM++ 2M"]
BOTH = {"image": [COFFEE, STARS], "combine": "colour + texture"}
SIDES = {
    "both": BOTH,
    "more colour": {**BOTH, "colour_strength": 2},
    "less texture": {**BOTH, "texture_strength": 0.5},
    "colour": {"image": COFFEE, "combine": "colour"},
    "texture": {"image": STARS, "combine": "texture"},
}
ALONE = {"image": STARS, "weight": 0, "palette": 1}


@either_family
@pytest.mark.parametrize("way", CHOSEN)
def test_the_palette_acts_alone_beside_a_style_and_says_its_steps(client, checkpoint, way):
    fields = WAYS[way]
    plain, alone = client.generate(**fields), client.generate(ALONE, **fields)
    styled = client.generate({"image": STARS}, **fields)
    beside = client.generate({"image": STARS, "palette": 1}, **fields)
    for answer in (alone, styled, beside):
        assert answer.status == 200, answer.detail
    pictures = [each.images[0] for each in (plain, alone, styled, beside)]
    for i, picture in enumerate(pictures):
        assert all(difference(picture, other) > 0.2 for other in pictures[:i])
    for answer in (alone, beside):
        assert "InstantStyle 1 palette: " in answer.infotexts[0]
    assert ("hires fix" in alone.infotexts[0].split("palette: ")[-1]) is (way == "hires fix")
    assert "palette: " not in styled.infotexts[0]
    assert difference(client.generate(ALONE, **fields).images[0], alone.images[0]) < 0.05
    assert difference(client.generate(**fields).images[0], plain.images[0]) < 0.05


@either_family
@pytest.mark.parametrize("method", ["swap", "stylealigned"])
def test_the_palette_beside_other_methods(client, checkpoint, method):
    unit = {"image": STARS, "method": method, "reference_noise": "same"}
    found = [client.generate({**unit, "palette": share}) for share in (0, 1)]
    assert difference(found[0].images[0], found[1].images[0]) > 0.2
    assert "InstantStyle 1 palette: " in found[1].infotexts[0]


def test_the_palette_keeps_to_what_inpainting_paints(client):
    for way in ("inpaint", "only masked"):
        plain, alone = client.generate(**WAYS[way]), client.generate(ALONE, **WAYS[way])
        assert alone.status == 200, alone.detail
        assert difference(plain.images[0][:, 40:], alone.images[0][:, 40:]) < 1
        assert difference(plain.images[0][:, :24], alone.images[0][:, :24]) > 0.2


@pytest.mark.parametrize("way", ["txt2img", "cfg 1", "batch 2 x 2", "hires fix"])
def test_colours_of_one_texture_of_another(client, way):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    fields = WAYS[way]
    found = {name: client.generate(unit, **fields) for name, unit in SIDES.items()}
    for answer in found.values():
        assert answer.status == 200, answer.detail
    pictures = [client.generate(**fields).images[0], *(each.images[0] for each in found.values())]
    for i, picture in enumerate(pictures):
        assert all(difference(picture, other) > 0 for other in pictures[:i])
    assert "combine: colour + texture" in found["both"].infotexts[0]
