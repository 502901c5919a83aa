"""The modes of content removal, and words that the reference suggests, in generations and plans."""

from __future__ import annotations

import re
import shutil

import pytest
import torch

from tests.host.generations import picture, style
from tests.host.plots import GRIDS, plot
from tests.miniature.recorder import Recorder, unet_of

COFFEE, STARS = picture("coffee.jpg"), picture("deep_field.jpg")
PAGE = "script_txt2img_instantstyle_"
UNIT = {"image": COFFEE, "content": "a cup | a spoon", "content_scale": 1}
MODES = ("difference", "projection", "subspace", "mask")
KEY = "InstantStyle 1 content"

pytestmark = pytest.mark.usefixtures("few_nouns")


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


def made(webui, unit, **fields):
    return webui.txt2img(**style(unit), **fields)


def first_outputs(webui, unit):
    """What the UNet gives for each row of the first step, by the row's name."""
    found = {}

    def look(module, inputs, output):
        found.update({row: out.clone() for row, out in zip(recorder.calls[0].rows, output)})
        handle.remove()

    with Recorder() as recorder:
        handle = unet_of(webui.sd_model).register_forward_hook(look)
        made(webui, unit)
    return found


@pytest.mark.parametrize("cfg_scale", [7, 1])
def test_each_mode_makes_a_picture_of_its_own(webui, cfg_scale):
    whole = made(webui, {"image": COFFEE}, cfg_scale=cfg_scale)
    found = {mode: made(webui, {**UNIT, "content_mode": mode}, cfg_scale=cfg_scale)
             for mode in MODES}  # fmt: skip
    found["clusters"] = made(
        webui, {**UNIT, "content_mode": "mask", "content_share": 0}, cfg_scale=cfg_scale
    )
    pixels = [whole.pixels, *(each.pixels for each in found.values())]
    assert len({str(each) for each in pixels}) == 6
    for mode in MODES[1:]:
        assert f"content_mode: {mode}" in found[mode].infotexts[0]
    assert "content_share: 0" in found["clusters"].infotexts[0]
    off = made(webui, {**UNIT, "content_mode": "mask", "content_scale": 0}, cfg_scale=cfg_scale)
    assert off.pixels == whole.pixels


@pytest.mark.parametrize("mode", MODES)
def test_rows_of_the_negative_prompt_are_bit_identical(webui, mode):
    whole = first_outputs(webui, {"image": COFFEE})
    less = first_outputs(webui, {**UNIT, "content_mode": mode, "auto_content": 1})
    assert whole.keys() == less.keys() == {"c0", "u0"}
    assert torch.equal(whole["u0"], less["u0"])
    assert not torch.equal(whole["c0"], less["c0"])


def test_a_saved_style_and_its_tag_make_the_reference_s_picture(webui, library):
    from lib_instantstyle.run.style_saving import save_style
    from tests.units import parse_unit

    given = {"content": "a cup", "content_mode": "mask", "content_share": 0.4, "auto_content": 2}
    save_style(parse_unit({"image": COFFEE, **given}), "ink")
    expected = made(webui, {"image": COFFEE, **given}, prompt="a cat")
    named = made(webui, {"style": "ink", **given}, prompt="a cat")
    tagged = webui.txt2img(prompt="a cat<instantstyle:ink>")
    assert expected.pixels == named.pixels == tagged.pixels
    words = expected.parameters[KEY]
    assert named.parameters[KEY] == words
    (key,) = (key for key in tagged.parameters if key.startswith("InstantStyle"))
    assert key.endswith(" content") and tagged.parameters[key] == words
    less = webui.txt2img(prompt="a cat<instantstyle:ink:1:auto_content=0:content_mode=subspace>")
    assert less.pixels != tagged.pixels and KEY not in less.parameters


@pytest.mark.parametrize(
    ("label", "values", "changes"),
    [
        ("content share", "0.1, 0.5", [{"content_share": 0.1}, {"content_share": 0.5}]),
        ("auto content", "0, 2", [{"auto_content": 0}, {"auto_content": 2}]),
        ("content mode", "mask, subspace", [{"content_mode": m} for m in ("mask", "subspace")]),
    ],
)
def test_a_cell_of_a_plot_is_the_picture_that_its_value_makes_alone(webui, label, values, changes):
    unit = {**UNIT, "content_mode": "mask"}
    answer = plot(webui, (f"[InstantStyle] {label}", values), ("Nothing", ""), unit)
    alone = [made(webui, {**unit, **change}) for change in changes]
    assert answer.pixels[GRIDS:] == [each.pixels[0] for each in alone]
    assert alone[0].pixels != alone[1].pixels
    for cell, each in zip(answer.infotexts[GRIDS:], alone):
        assert (KEY in cell) == (KEY in each.infotexts[0])


# -- words that the reference suggests ------------------------------------------------------------


def test_the_words_are_those_of_the_button_and_stand_in_infotext_and_comment(webui, said):
    answer = made(webui, {"image": COFFEE, "auto_content": 3, "content_mode": "subspace"})
    shown = webui.post("/instantstyle/content", {"image": COFFEE, "count": 3}).json()
    nouns = [each["noun"] for each in shown["suggestions"]]
    assert answer.parameters[KEY] == " | ".join(nouns)
    assert "auto_content: 3" in answer.parameters["InstantStyle 1"]
    assert (
        f"InstantStyle: unit 1 takes out what its reference suggests: {' | '.join(nouns)}." in said
    )
    assert "InstantStyle 1 note" not in answer.parameters
    plain = made(webui, {"image": COFFEE})
    assert answer.pixels != plain.pixels and KEY not in plain.parameters


def test_reading_the_vocabulary_is_shown_once(webui, monkeypatch, few_nouns):
    from lib_instantstyle.hosts import diffusion, own_folder

    shutil.rmtree(own_folder() / "cache", ignore_errors=True)
    told = []
    monkeypatch.setattr(diffusion, "announce", told.append)
    for _ in range(2):
        made(webui, {"image": COFFEE, "auto_content": 1})
    assert told == [f"Reading words, once: {n} of {len(few_nouns)}" for n in (32, 64, 96)] + [""]


def test_words_that_are_named_are_not_suggested_again(webui):
    first, second, third = made(webui, {"image": COFFEE, "auto_content": 3}).parameters[
        KEY
    ].split(" | ")  # fmt: skip
    unit = {"image": COFFEE, "auto_content": 2, "content": f"An old {first.upper()} of tin"}
    assert made(webui, unit).parameters[KEY] == f"{second} | {third}"


def test_the_leak_meter_compares_with_suggested_words_too(webui):
    unit = {"image": COFFEE, "leak_meter": True}

    def line(**fields):
        return made(webui, {**unit, **fields}).parameters["InstantStyle 1 leak"]

    assert "content " in line(auto_content=2) and "content " not in line()
    assert "content " not in line(auto_content=2, content_scale=0)  # nothing is suggested
    # Taken out so little that the picture is the same: what it is compared with differs.
    named = {"content": "a cup", "content_scale": 1e-9}
    assert line(**named) != line(**named, auto_content=2)
    assert line(**named) == line(**named, content_mode="subspace")


def test_each_reference_has_its_own_words_unless_they_become_one(webui):
    given = {"auto_content": 2, "content_mode": "mask"}
    alone = [made(webui, {"image": image, **given}) for image in (COFFEE, STARS)]
    words = [each.parameters[KEY] for each in alone]
    assert words[0] != words[1]
    both = made(webui, {"image": [COFFEE, STARS], **given})
    assert both.parameters[KEY] == "; ".join(words)
    each = made(webui, {"image": [COFFEE, STARS], "combine": "each", **given}, batch_size=2)
    assert each.pixels[-2:] != both.pixels[-2:]
    # The first picture of the batch has the first reference alone, with its own words.
    assert each.pixels[-2] == made(webui, {"image": COFFEE, **given}, batch_size=2).pixels[-2]
    one = made(webui, {"image": [COFFEE, STARS], "combine": "average", **given})
    assert ";" not in one.parameters[KEY] and len(one.parameters[KEY].split(" | ")) == 2


def test_nothing_is_left_of_the_words_when_the_next_picture_has_none(webui):
    from modules import processing

    from lib_instantstyle.run import script_hooks

    p = processing.StableDiffusionProcessingTxt2Img()
    p.extra_generation_params[KEY] = "cup"
    script_hooks.before_process(p)
    assert KEY not in p.extra_generation_params
    made(webui, {"image": COFFEE, "auto_content": 1})
    assert KEY not in made(webui, {"image": COFFEE}).parameters


def test_a_unit_that_did_not_act_names_no_words(webui):
    unit = {"image": COFFEE, "auto_content": 1, "start": 0.9, "end": 0.95}
    found = made(webui, unit).parameters
    assert "InstantStyle 1 note" in found and KEY not in found


@pytest.mark.parametrize(
    "unit",
    [
        {**UNIT, "content_mode": "mask", "content_share": 0.35},
        {**UNIT, "content_mode": "mask", "content_share": 0},
        {**UNIT, "content_mode": "subspace", "auto_content": 2},
        {"image": COFFEE, "auto_content": 5, "content_mode": "mask", "content_scale": 0.8},
    ],
)
def test_pasted_infotext_makes_the_same_picture(webui, unit):
    """As a page sends it: all of its values by position."""
    from modules import infotext_utils

    first = made(webui, unit)
    params = infotext_utils.parse_generation_parameters(first.infotexts[0])
    fields = infotext_utils.paste_fields["txt2img"]["fields"]
    pasted = {x.component.elem_id: x.function(params) for x in fields if x.function}
    assert not pasted[f"{PAGE}notice"]
    values = [
        control.value if pasted.get(control.elem_id) is None else pasted[control.elem_id]
        for control in webui.script("InstantStyle", "txt2img").controls
    ]
    again = webui.txt2img(**style(*values))
    assert again.pixels == first.pixels
    assert again.infotexts[0] == first.infotexts[0]


def test_an_adapter_that_sees_patches_is_refused_by_plan_and_generation(webui):
    unit = {"image": COFFEE, "adapter": "ip-adapter-plus_sdxl_vit-h", "auto_content": 1}
    detail = webui.txt2img(**style(unit), expect=422).body["detail"]
    assert "content cannot be taken out with adapter ip-adapter-plus_sdxl_vit-h" in detail
    assert "or set auto_content to 0." in detail
    assert webui.post("/instantstyle/plan", {"units": [unit]}).json()["problems"] == [detail]


def test_without_a_text_encoder_that_fits_it_is_refused_as_content_is(webui):
    webui.use("tiny_sd15.")
    details = [
        webui.txt2img(**style({"image": COFFEE, **given}), expect=422).body["detail"]
        for given in ({"content": "a cup"}, {"auto_content": 1})
    ]
    assert details[0] == details[1] and "content cannot be read" in details[0]


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"content_share": 1.2}, "content_share is 1.2; a number from 0 to 1 is allowed"),
        ({"auto_content": 6}, "auto_content is 6; a whole number from 0 to 5 is allowed"),
        ({"auto_content": 1.5}, "auto_content is 1.5; a whole number from 0 to 5 is allowed"),
        ({"content_mode": "half"}, "content_mode is 'half'; one of 'difference', 'projection'"),
    ],
)
def test_a_wrong_value_is_a_sentence(webui, given, allowed):
    detail = webui.txt2img(**style({**UNIT, **given}), expect=422).body["detail"]
    assert allowed in detail


# -- what is said beforehand ----------------------------------------------------------------------


def planned(webui, unit):
    answer = webui.post("/instantstyle/plan", {"units": [unit]}).json()
    assert answer["problems"] == []
    return answer["units"][0], answer["text"]


def test_a_plan_has_numbers_once_the_reference_was_seen(webui):
    from lib_instantstyle.hosts import own_folder
    from lib_instantstyle.references import vectors

    vectors.cache().tensors.clear()
    shutil.rmtree(own_folder() / "cache", ignore_errors=True)
    unit = {**UNIT, "content_mode": "mask"}
    plan, _ = planned(webui, unit)
    assert plan["content"] == [] and not plan["references"][0]["remembered"]
    assert plan["subtracted"] == (
        "1 times 'a cup' and 'a spoon' (mask, 51 of 256 elements for each), read by the loaded "
        "checkpoint's text encoder."
    )
    made(webui, unit)
    for mode in MODES:
        plan, text = planned(webui, {**unit, "content_mode": mode})
        (found,) = plan["content"]
        report = webui.post("/instantstyle/content", {**UNIT, "content_mode": mode, "count": 0})
        report = report.json()
        assert report["content_mode"] == mode
        for name in ("removed", "masked", "elements", "texts"):
            assert found[name] == report[name], (mode, name)
        assert found["removed"] > 0 and found["elements"] == 256
        assert (found["masked"] is not None) == (mode == "mask")
        assert f"of reference 1: {found['removed']:.0%} of the length" in text
        after = [each["after"] for each in found["texts"]]
        if mode == "subspace":
            assert after == pytest.approx([0, 0], abs=1e-5)
        assert [each["text"] for each in found["texts"]] == ["a cup", "a spoon"]


def test_a_plan_names_suggested_words_once_the_vocabulary_was_read(webui):
    from lib_instantstyle.hosts import own_folder

    unit = {"image": COFFEE, "auto_content": 2}
    made(webui, {"image": COFFEE})
    shutil.rmtree(own_folder() / "cache", ignore_errors=True)
    plan, _ = planned(webui, unit)
    assert plan["content"] == []
    assert "0.5 times the 2 words that each reference suggests (difference)" in plan["subtracted"]
    words = made(webui, unit).parameters[KEY].split(" | ")
    plan, text = planned(webui, unit)
    (found,) = plan["content"]
    assert found["suggested"] == words == [each["text"] for each in found["texts"]]
    assert f"likeness to '{words[0]}'" in text


def test_a_plan_for_strangers_has_no_numbers_of_what_others_have_sent(webui, library, monkeypatch):
    from lib_instantstyle.hosts import page
    from lib_instantstyle.run.style_saving import save_style
    from tests.units import parse_unit

    made(webui, UNIT)
    save_style(parse_unit({"image": COFFEE}), "ink")
    assert planned(webui, UNIT)[0]["content"]
    monkeypatch.setattr(page, "is_api_public", lambda: True)
    assert planned(webui, UNIT)[0]["content"] == []
    assert planned(webui, {"style": "ink", "content": "a cup"})[0]["content"]


def test_the_report_has_the_words_that_are_taken_out_without_being_named(webui):
    request = {**UNIT, "content_mode": "mask", "content_share": 0.5, "auto_content": 2, "count": 0}
    found = webui.post("/instantstyle/content", request).json()
    assert found["suggestions"] == [] and len(found["auto_content"]) == 2
    texts = [each["text"] for each in found["texts"]]
    assert texts == ["a cup", "a spoon", *found["auto_content"]]
    assert 128 < found["masked"] <= 256
    nothing = webui.post("/instantstyle/content", {"image": COFFEE, "count": 0}).json()
    assert (nothing["removed"], nothing["masked"], nothing["texts"]) == (0, None, [])


def test_the_status_says_what_the_mode_will_do(webui):
    def says(**values):
        given = {f"{PAGE}unit_1_{name}": value for name, value in values.items()}
        return webui.press(f"{PAGE}look", **given)[0]

    unescaped = says(content="a cup", content_mode="mask", content_scale=1).replace("&#x27;", "'")
    assert "1 times 'a cup' will be taken out (mask, 51 of 256 elements for each)." in unescaped
    assert "&quot;content_share&quot;:true" in says(content_mode="mask")
    assert "&quot;content_share&quot;:false" in says(content_mode="subspace")
    assert "the word that each reference suggests" in says(auto_content=1)
    assert "will be taken out" not in says()


def test_the_button_says_what_the_mode_takes_out(webui):
    values = {
        f"{PAGE}unit_1_{name}": value
        for name, value in {
            "image": f"data:image/jpeg;base64,{COFFEE}",
            "content": "a cup",
            "content_mode": "mask",
            "content_scale": 1,
            "auto_content": 1,
        }.items()
    }
    (answer,) = webui.press(f"{PAGE}unit_1_words_button", **values)
    assert re.search(
        r"mask takes out \d+% of the length of the image vector, \d+ of 256 elements of it", answer
    )
    assert answer.count(": likeness ") == 2
