"""Negative-prompt rows that get what is taken out of the reference."""

import pytest
import torch

from tests.host.generations import UNIT, difference, picture, style
from tests.host.plans import agreed
from tests.host.watching import Calls

FIELDS = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5}
COFFEE, STARS = UNIT["image"], picture("deep_field.jpg")
REMOVED = {**UNIT, "content": "a cup", "content_scale": 0.5}
NEGATIVE = {**REMOVED, "negative_content": True}


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


@pytest.fixture
def embeds(monkeypatch):
    """The image embeds that terms are made of, of each generation: [n + 1, E] or [2 n + 1, E]."""
    from lib_instantstyle.methods.ip_adapter import method

    found, features = [], method.unit_features

    def seen(checked, context):
        made = features(checked, context)
        found.append(made.stack)
        return made

    monkeypatch.setattr(method, "unit_features", seen)
    return found


def run(webui, *units, **fields):
    return webui.txt2img(**{**FIELDS, **fields}, **(style(*units) if units else {}))


def test_negative_rows_get_what_is_taken_out(webui, embeds):
    with Calls(webui) as rows:
        pictures = [run(webui, unit).pixels for unit in (UNIT, REMOVED, NEGATIVE)]
    assert rows == [2] * 2 * 3
    assert len({each[0] for each in pictures}) == 3
    whole, left, negated = embeds
    assert torch.equal(negated[0], left[0]) and not left[-1].any()
    torch.testing.assert_close(negated[-1], whole[0] - left[0])


def test_of_several_references_it_is_the_mean(webui, embeds):
    several = {"image": [COFFEE, STARS], "content_mode": "projection", "content_scale": 1}
    for unit in ({"image": [COFFEE, STARS]}, {**NEGATIVE, **several}):
        run(webui, unit)
    whole, negated = embeds
    torch.testing.assert_close(negated[-1], (whole[:2] - negated[:2]).mean(0))


def test_the_word_in_place_of_a_picture_is_the_same(webui):
    answer = run(webui, {**REMOVED, "negative_image": "content"})
    assert answer.pixels == run(webui, NEGATIVE).pixels
    assert "negative_content: true" in answer.infotexts[0]
    assert run(webui, infotext=answer.infotexts[0]).pixels == answer.pixels


def test_it_is_what_guidance_inside_the_attention_moves_away_from_at_cfg_1(webui):
    plain = run(webui, REMOVED, cfg_scale=1).images[0]
    alone = run(webui, NEGATIVE, cfg_scale=1)
    assert difference(alone.images[0], plain) <= 1  # rounding: guidance is u + (c - u)
    assert "there is no negative prompt, so that negative_content does" in alone.infotexts[0]
    guided = {"attention_guidance": 2}
    from_zero, from_words = (
        run(webui, {**unit, **guided}, cfg_scale=1).images[0] for unit in (REMOVED, NEGATIVE)
    )
    assert difference(from_words, plain) > 2 and difference(from_words, from_zero) > 2


def test_a_tag_may_set_it(webui, library):
    webui.post("/instantstyle/embed", {"name": "ink", **REMOVED})
    tagged = run(webui, prompt="a cat <instantstyle:ink:1:negative_content=true>")
    assert tagged.pixels == run(webui, {"style": "ink", **NEGATIVE, "image": None}).pixels


PROBLEMS = {
    "nothing": ({**UNIT, "negative_content": True}, "nothing is removed; name some content"),
    "picture": ({**NEGATIVE, "negative_image": STARS}, "negative_image is given, which takes the"),
    "noise": ({**NEGATIVE, "noise": "fade"}, "noise is given, which takes the same place"),
    "plus": ({**NEGATIVE, "adapter": "ip-adapter-plus_sdxl_vit-h"}, "content"),
}


@pytest.mark.parametrize("unit, sentence", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_what_stands_in_its_way(webui, unit, sentence):
    assert sentence in agreed(webui, {**FIELDS, **style(unit)}, but="\n")[0]
