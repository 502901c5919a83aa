"""What a pasted infotext says and the page cannot take over is said, in one sentence."""

from __future__ import annotations

import html
import re
import shutil

import pytest

from lib_instantstyle import limits
from lib_instantstyle.hosts import own_folder
from tests.host.generations import UNIT, picture, style

HEAD = "a cat\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 7, Size: 64x64"
BEGIN = "Not all of it was taken over: "


def infotext(*lines):
    """lines: of units, by their number or from 1 on."""
    pairs = [line if isinstance(line, tuple) else (i, line) for i, line in enumerate(lines, 1)]
    return ", ".join([HEAD, *(f'InstantStyle {number}: "{line}"' for number, line in pairs)])


def notice(text, tab="txt2img"):
    """The sentence, without its markup."""
    from modules import infotext_utils

    params = infotext_utils.parse_generation_parameters(text)
    fields = infotext_utils.paste_fields[tab]["fields"]
    (paste,) = [
        x.function for x in fields if x.component.elem_id == f"script_{tab}_instantstyle_notice"
    ]
    return html.unescape(re.sub("<[^>]*>", "", paste(params)))


@pytest.fixture(autouse=True)
def whole(webui):
    """Of what can be taken over nothing is said."""
    assert notice(HEAD) == notice(infotext("weight: 0.5", "preset: layout, gamma: 0.3")) == ""
    measured = f"{infotext('weight: 1')}, InstantStyle 1 effect: 0.3, InstantStyle effect: 0.1"
    assert notice(measured) == ""


UNITS = "the page has 3 units, so {} left out (Settings > InstantStyle > Units on the page)"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["weight: 1"] * 4, UNITS.format("unit 4 was")),
        (["weight: 1"] * 6, UNITS.format("units 4, 5, 6 were")),
        ([(n, "weight: 1") for n in range(2, 14)], UNITS.format("units 4, 5, 6, 7, 8, 9 and 4 more "
         "were")),
        ([(0, "weight: 1")], UNITS.format("unit 0 was")),
        ([("9" * 5000, "weight: 1")], UNITS.format(f"unit {'9' * 15}… was")),
        (["preset: sorcery"], "unit 1 cannot have preset 'sorcery'"),
        (["method: sorcery"], "unit 1 cannot have method 'sorcery'"),
        (["weight: 99, start: -1"], "unit 1 cannot have weight '99', start '-1'"),
        (["", "sorcery: 3"], "unit 2 cannot have 'sorcery'"),
        (["weight 3, start: 0.5"], "unit 1 cannot have 'weight 3'"),
        ([", ".join(f"glow{n}: 1" for n in range(9))], "unit 1 cannot have 'glow0', 'glow1', "
         "'glow2', 'glow3', 'glow4', 'glow5' and 3 more"),
        (["reference: 0123456789ab"], "reference 0123456789ab of unit 1 is no longer kept here: "
         "drop the picture again"),
        (["", "mask: 0123456789ab"], "mask 0123456789ab of unit 2 is no longer kept here: drop the "
         "picture again"),
        (["preset: a, reference: 0123456789ab"], "unit 1 cannot have preset 'a'; reference "
         "0123456789ab of unit 1 is no longer kept here: drop the picture again"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_each_part_that_is_lost_is_named(webui, lines, expected, tab):
    text = infotext(*lines)
    assert notice(text, tab) == f"{BEGIN}{expected}."


def test_a_line_that_is_too_long_is_said_to_be(webui):
    long = f"weight: 1, content: {'a' * limits.INFOTEXT_CHARACTERS}"
    assert notice(infotext(long)) == (
        f"{BEGIN}nothing of unit 1 was read, because its line has {len(long):,} characters and up "
        "to 65,536 are allowed."
    )


def test_what_a_stranger_wrote_is_no_markup(webui):
    from lib_instantstyle.page.paste_back import notice as as_html

    shown = as_html({"InstantStyle 1": "<img src=x onerror=alert(1)>: 1\x1b[31m, preset: <b>"}, 3)
    assert "<img" not in shown and "<b>" not in shown and "\x1b" not in shown
    assert "&lt;img" in shown and "&lt;b&gt;" in shown


@pytest.mark.parametrize(("count", "units"), [(1, "1 unit"), (2, "2 units")])
def test_the_setting_is_the_page_s_own(webui, count, units):
    from lib_instantstyle.hosts.settings import PAGE_UNITS
    from lib_instantstyle.page.paste_back import notice as as_html

    assert f"the page has {units}, so unit 3 was" in as_html({"InstantStyle 3": ""}, count)
    info = webui.shared.opts.data_labels[PAGE_UNITS]
    assert (info.section[1], info.label) == ("InstantStyle", "Units on the page")


@pytest.mark.parametrize("sent_by", ["paste", "png info"])
def test_the_page_s_own_buttons_say_it(webui, sent_by):
    """The arrow under Generate, and "Send to txt2img" of a picture's infotext."""
    text = infotext("preset: sorcery", "", "", "weight: 1")
    if sent_by == "paste":
        answer = webui.press("paste", txt2img_prompt=text)
    else:
        index, dependency = next(
            (x.get("id", i), x)
            for i, x in enumerate(webui.demo.get_config_file()["dependencies"])
            if x["backend_fn"]
            and len(x["inputs"]) == 1
            and any(
                getattr(webui.demo.blocks[k], "elem_id", "") == "script_txt2img_instantstyle_notice"
                for k in x["outputs"]
            )
            and getattr(webui.demo.blocks[x["inputs"][0]], "elem_id", "") != "txt2img_prompt"
        )
        answer = webui._call(index, dependency, {"_0": text})
    assert str(answer).count(BEGIN) == 1
    assert "so unit 4 was left out" in str(answer)


def test_a_reference_that_is_gone_is_said_with_its_hash(webui):
    made = webui.txt2img(**style({**UNIT, "mask": picture("deep_field.jpg")})).infotexts[0]
    assert notice(made) == ""
    shutil.rmtree(own_folder() / "references")
    mask, reference = (re.search(rf"{x}: (\w{{12}})", made)[1] for x in ("mask", "reference"))
    said = notice(made)
    assert f"reference {reference} of unit 1 is no longer kept" in said
    assert f"mask {mask} of unit 1 is no longer kept" in said


def test_a_client_s_infotext_says_it_in_a_note(webui):
    """The API's field `infotext`: there is no page, so the picture says what was lost."""
    made = webui.txt2img(**style(UNIT)).infotexts[0]
    beyond = f'{made}, InstantStyle 4: "weight: 1"'
    lost = webui.txt2img(infotext=beyond).infotexts[0]
    expected = UNITS.format("unit 4 was")
    assert f'InstantStyle 1 note: "not all of the infotext was taken over: {expected}' in lost
    strange = made.replace("reference: ", "glow: 1, weight: 99, reference: ")
    lost = webui.txt2img(infotext=strange).infotexts[0]
    assert "unit 1 cannot have 'glow', weight '99'" in lost or "weight '99', 'glow'" in lost
    assert "note:" not in webui.txt2img(infotext=made).infotexts[0]
    # A client's own units are used instead of the infotext's.
    assert "note:" not in webui.txt2img(infotext=beyond, **style(UNIT)).infotexts[0]


def test_what_one_client_s_infotext_lost_is_not_said_to_another(webui):
    page_pasted = infotext("preset: sorcery")
    assert notice(page_pasted)
    fields = {"enabled": True, **UNIT}
    assert "note:" not in webui.txt2img(**style(fields)).infotexts[0]
