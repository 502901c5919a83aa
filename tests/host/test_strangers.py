"""A WebUI that strangers may use: what it tells them, hands out to them and lets them change.

docs/guide.md promises in "On a public address" what is tried here.
"""

from __future__ import annotations

import json
import re

import pytest

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import own_folder
from lib_instantstyle.session import SESSION
from lib_instantstyle.styles.file import write_style
from tests.host.generations import PICTURES, UNIT, picture, style
from tests.unit.styles import style as saved_style

ME, OTHER = "1" * 32, "2" * 32  # two tabs
NOT_YOURS = "is not handed out on a public address: drop the picture again"
PAGE = "script_txt2img_instantstyle_"
PART = f"{PAGE}unit_1_"


def built_for(webui, strangers):
    """Build the page anew if it is not the one for strangers, or for this machine alone."""
    ids = {getattr(x, "elem_id", None) for x in webui.demo.blocks.values()}
    if (f"{PAGE}pasted" in ids) != strangers:
        webui.reload_ui()


@pytest.fixture(scope="module", autouse=True)
def page_of_other_files(session):
    yield
    built_for(session, False)


@pytest.fixture
def local(webui):
    """The WebUI of this process for this machine alone."""
    built_for(webui, False)
    return webui


@pytest.fixture
def public(webui, monkeypatch):
    """The same as `--listen` has it, with the page that belongs to it."""
    from lib_instantstyle.page.sent_pictures import sent_pictures

    monkeypatch.setattr(webui.shared.cmd_opts, "disable_extension_access", True)
    built_for(webui, True)
    sent_pictures().__init__()
    return webui


@pytest.fixture
def ink(library):
    """A saved style; what its file holds."""
    path = library.path_of("ink")
    write_style(path, saved_style())
    return path.read_bytes()


def infotext_of(webui, **fields):
    return webui.txt2img(**style({**UNIT, **fields})).infotexts[0]


def digest_in(infotext):
    return re.search(r"reference: (\w{12})", infotext)[1]


def pasted(infotext, tab="txt2img"):
    """What pasting does to the page at once, by the ids of its components."""
    from modules import infotext_utils

    params = infotext_utils.parse_generation_parameters(infotext)
    fields = infotext_utils.paste_fields[tab]["fields"]
    return {x.component.elem_id: x.function(params) for x in fields if x.function}


def given_back(webui, infotext, tab, name="image"):
    """What the tab with this number gets after it; the notice."""
    box = pasted(infotext)[f"{PAGE}pasted"]
    answer = webui.press(f"{PAGE}pasted", "change", **{f"{PAGE}pasted": box, f"{PAGE}tab": tab})
    _, dependency = webui.dependency(f"{PAGE}pasted", "change")
    ids = [webui.demo.blocks[x].elem_id for x in dependency["outputs"]]
    found = dict(zip(ids, answer))
    value = found[f"{PART}{name}"]
    return value.get("value") if isinstance(value, dict) else value, found[f"{PAGE}notice"]


def sends(webui, tab, text):
    """The page does this when a picture has come into one of its boxes."""
    webui.press(f"{PART}image", "change", **{f"{PART}image": text, f"{PAGE}tab": tab})


# -- what is told ------------------------------------------------------------------------------


def test_a_card_tells_strangers_no_hash_no_path_and_no_metadata(public, ink, library):
    from modules import ui_extra_networks

    own = library.folder / "ink.preview.png"
    own.write_bytes((PICTURES / "coffee.jpg").read_bytes())
    (page,) = [p for p in ui_extra_networks.extra_pages if p.name == "instantstyle"]
    shown = page.create_html("txt2img")
    single = page.create_item("ink", enable_filter=False)
    given = {"page": "instantstyle", "item": "ink"}
    metadata = public.get("/sd_extra_networks/metadata", params=given).text
    answers = [shown, json.dumps(single), metadata]
    assert public.get("/sd_extra_networks/thumb", params={"filename": str(own)}).status_code != 200
    for said in answers:
        assert str(library.folder.parent) not in said and not re.search(r"[0-9a-f]{12}", said)
    assert "cardClicked" in shown and 'data-name="ink"' in shown  # it can be used
    assert "data:image" not in answers[1]  # that one is asked for without a login
    assert single["metadata"] == {} and "settings" not in json.dumps(answers)
    page.read_user_metadata(single, use_cache=False)
    assert single["user_metadata"] == {}


def test_what_the_webui_would_write_beside_a_style_has_no_place(public, ink):
    from pathlib import Path

    from modules import ui_extra_networks

    (page,) = [p for p in ui_extra_networks.extra_pages if p.name == "instantstyle"]
    for item in (page.create_item("ink"), *page.list_items()):
        for name in ("filename", "local_preview"):
            assert not Path(item[name]).parent.exists()


def test_no_hash_of_a_reference_is_among_the_metadata_of_a_card(local, ink):
    from modules import ui_extra_networks

    (page,) = [p for p in ui_extra_networks.extra_pages if p.name == "instantstyle"]
    page.create_html("txt2img")
    answer = local.get(
        "/sd_extra_networks/metadata", params={"page": "instantstyle", "item": "ink"}
    )
    found = json.loads(answer.json()["metadata"])
    assert found["references"] == 2
    assert not set(saved_style().info.references) & set(re.findall(r"\w+", answer.text))


@pytest.mark.parametrize("folder", ["references", "styles", "cache/embeddings", "crops"])
def test_gradio_serves_no_file_of_our_folder(webui, ink, monkeypatch, folder):
    """Gradio 3 serves what lies below the WebUI's folder; a crop has but twelve digits."""
    webui.set(instantstyle_save_crops=True)
    webui.txt2img(**style(UNIT))
    kept = next((own_folder() / folder).iterdir())
    beside = own_folder().parent / "beside.txt"
    beside.write_text("served")
    monkeypatch.setattr(webui.app, "cwd", str(own_folder().parent), raising=False)
    monkeypatch.setattr(webui.demo, "allowed_paths", [str(own_folder().parent)])
    try:
        assert webui.get(f"/file={beside}").text == "served"
        for path in (kept, f"{kept.parent}/../{kept.parent.name}/{kept.name}"):
            assert webui.get(f"/file={path}").status_code == 403
    finally:
        beside.unlink()


def test_a_plan_tells_strangers_not_what_others_have_sent(webui, monkeypatch):
    def remembered():
        plan = webui.post("/instantstyle/plan", {"units": [UNIT]}).json()
        return plan["units"][0]["references"][0]["remembered"], "seen before" in plan["text"]

    webui.txt2img(**style(UNIT))
    assert remembered() == (True, True)
    monkeypatch.setattr(webui.shared.cmd_opts, "disable_extension_access", True)
    assert remembered() == (False, False)
    monkeypatch.setattr(webui.shared.cmd_opts, "api_auth", "me:secret")  # who knows it is no one
    assert remembered() == (True, True)


# -- what is handed out ------------------------------------------------------------------------


def test_a_reference_comes_back_to_the_tab_that_sent_it_and_to_no_other(public):
    infotext = infotext_of(public, weight=0.7)
    digest = digest_in(infotext)
    at_once = pasted(infotext)
    assert at_once[f"{PART}image"] == f"gone:{digest}" and at_once[f"{PART}weight"] == 0.7
    sentence = f"reference {digest} of unit 1 {NOT_YOURS}"
    assert sentence in at_once[f"{PAGE}notice"]
    for tab in (ME, OTHER, "", "1", "*", ME.upper() + "x"):
        assert given_back(public, infotext, tab) == (None, at_once[f"{PAGE}notice"])
    sends(public, ME, f"data:image/jpeg;base64,{UNIT['image']}")
    image, notice = given_back(public, infotext, ME)
    assert image.endswith(UNIT["image"]) and notice == ""
    for tab in (OTHER, "", "1"):
        assert given_back(public, infotext, tab) == (None, at_once[f"{PAGE}notice"])


def test_several_references_and_masks_come_back_alike(public):
    infotext = infotext_of(public, image=[UNIT["image"], picture("deep_field.jpg")])
    two = json.dumps(
        [{"image": UNIT["image"], "weight": 1}, {"image": picture("deep_field.jpg"), "weight": 0.5}]
    )
    sends(public, ME, UNIT["image"])
    one, other = json.loads(given_back(public, infotext, ME)[0])  # the other is not this tab's
    assert one["image"].endswith(UNIT["image"]) and other["image"].startswith("gone:")
    sends(public, ME, two)
    assert len(json.loads(given_back(public, infotext, ME)[0])) == 2
    masked = infotext_of(public, mask=picture("deep_field.jpg"))
    assert given_back(public, masked, ME, "mask")[0].endswith(picture("deep_field.jpg"))
    value, notice = given_back(public, masked, OTHER, "mask")
    assert value is None and re.search(rf"mask \w{{12}} of unit 1 {NOT_YOURS}", notice)


def test_a_hash_tells_not_whether_its_picture_is_kept(public):
    """The sentence is the same for a picture of somebody else and for one that nobody has sent."""
    kept = infotext_of(public)
    unknown = kept.replace(digest_in(kept), "0" * 12)
    one, other = (pasted(text)[f"{PAGE}notice"] for text in (kept, unknown))
    assert one.replace(digest_in(kept), "0" * 12) == other
    for tab in (ME, ""):
        one, other = (given_back(public, text, tab) for text in (kept, unknown))
        assert one[1].replace(digest_in(kept), "0" * 12) == other[1] and one[0] == other[0]


def test_who_sent_what_is_forgotten_by_a_restart_and_beyond_a_bound(public, monkeypatch):
    from lib_instantstyle import limits
    from lib_instantstyle.page.sent_pictures import SentPictures

    infotext = infotext_of(public)
    sends(public, ME, UNIT["image"])
    assert given_back(public, infotext, ME)[0]
    monkeypatch.setattr(SESSION, "_kept", {})
    assert given_back(public, infotext, ME)[0] is None
    monkeypatch.setattr(limits, "SENT_PICTURES", 3)
    record = SentPictures()
    for number in range(5):
        record.add(ME, str(number))
    assert [record.has(ME, str(number)) for number in range(5)] == [False, False, *[True] * 3]
    assert not record.has(OTHER, "4")


@pytest.mark.parametrize("text", ["", "no base64", "[]", "[" * 500, "data:,", "aaaa", '{"a": 1}'])
def test_what_is_no_picture_is_nobody_s(public, text):
    sends(public, ME, text)
    assert public.reports == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"InstantStyle 1": 3}', '{"x": "y"}'])
def test_a_page_may_ask_for_anything(public, text):
    answer = public.press(f"{PAGE}pasted", "change", **{f"{PAGE}pasted": text, f"{PAGE}tab": ME})
    assert answer[-1] == "" and public.reports == []


def test_a_saved_style_stands_for_a_reference_that_is_not_handed_out(public, library):
    """Everybody may use saved styles."""
    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.run.style_saving import save_style

    infotext = infotext_of(public, weight=0.5)
    save_style(TABLE.parse_unit(UNIT), "of coffee")
    assert given_back(public, infotext, OTHER, "style") == ("of coffee", "")
    assert given_back(public, infotext, OTHER)[0] is None
    sends(public, ME, UNIT["image"])
    assert given_back(public, infotext, ME, "style")[0] is None
    assert given_back(public, infotext, ME)[0]


def test_a_request_gets_nothing_by_the_hash_of_a_picture(public):
    infotext = infotext_of(public, weight=0.7)
    sends(public, ME, UNIT["image"])
    refused = public.txt2img(infotext=infotext, expect=422)
    digest = digest_in(infotext)
    assert f"image is the picture '{digest}' of an infotext, which is not" in refused.body["detail"]
    refused = public.txt2img(**style({"image": digest_in(infotext)}), expect=422)
    assert "cannot be read as a picture" in refused.body["detail"]


def test_a_page_for_this_machine_gives_everything_back_to_everybody(local):
    infotext = infotext_of(local)
    SESSION.clear()  # as a restart does
    at_once = pasted(infotext)
    assert at_once[f"{PART}image"].endswith(UNIT["image"]) and at_once[f"{PAGE}notice"] == ""
    assert f"{PAGE}pasted" not in at_once  # nothing is sent twice


# -- what is changed ---------------------------------------------------------------------------


def press(webui, part, event="click", **values):
    given = {f"{PART}{name}": value for name, value in values.items()}
    return webui.press(f"{PART}{part}", event, **given)


def test_strangers_change_no_saved_style(public, ink, library, tmp_path):
    sentence = "saved styles are used here and not changed; start it with --enable-insecure-"
    for part in ("style_save", "style_rename", "style_delete", "style_import"):
        (block,) = [x for x in public.demo.blocks.values() if x.elem_id == f"{PART}{part}"]
        assert block.interactive is False
    shown = [x.value for x in public.demo.blocks.values() if x.elem_id == f"{PART}style_forbidden"]
    assert len(shown) == 1 and sentence in shown[0]
    for part, values in (
        ("style_save", {"style_name": "mine", "image": UNIT["image"]}),
        ("style_rename", {"style": "ink", "style_name": "mine"}),
        ("style_delete", {"style": "ink"}),
    ):
        assert sentence in press(public, part, **values)[2]
    assert [path.name for path in library.folder.iterdir()] == ["ink.safetensors"]
    assert library.path_of("ink").read_bytes() == ink
    update, said = press(public, "style_export", style="ink")
    assert update["value"] and said == ""
    assert "data:image/jpeg" in press(public, "style", "change", style="ink")[0]
    assert public.txt2img(**style({"style": "ink"}), expect=None).status in (200, 422)


def test_strangers_import_no_style(public, ink, library, tmp_path):
    from lib_instantstyle.page import styles

    file = tmp_path / "mine.safetensors"
    file.write_bytes(ink)
    handle = styles._handler(styles.take_in, 0, True, 1)
    assert "may be strangers" in handle(str(file), "")[2]
    assert [path.name for path in library.folder.iterdir()] == ["ink.safetensors"]


def test_strangers_save_no_style_by_the_api(webui, library, monkeypatch):
    body = {**UNIT, "name": "mine"}
    monkeypatch.setattr(webui.shared.cmd_opts, "disable_extension_access", True)
    refused = webui.post("/instantstyle/embed", body)
    assert refused.status_code == 422
    assert "no style is saved by the API; start it with" in refused.json()["detail"]
    assert "or with --api-auth." in refused.json()["detail"]
    assert webui.get("/instantstyle/styles").json()["styles"] == []
    monkeypatch.setattr(webui.shared.cmd_opts, "api_auth", "me:secret")
    assert webui.post("/instantstyle/embed", body).status_code == 200


@pytest.mark.parametrize(
    ("flags", "listens_on", "expected"),
    [
        ({}, None, False),
        ({}, "127.0.0.1", False),
        ({}, "0.0.0.0", True),  # noqa: S104
        ({"enable_insecure_extension_access": True}, "0.0.0.0", False),  # noqa: S104
        ({"disable_extension_access": True}, None, True),
        ({"disable_extension_access": None}, None, True),  # a WebUI without that flag
    ],
)
def test_one_place_says_where_strangers_may_be(webui, monkeypatch, flags, listens_on, expected):
    from lib_instantstyle.hosts import page

    for name, value in flags.items():
        if value is None:
            monkeypatch.delattr(webui.shared.cmd_opts, name)
        else:
            monkeypatch.setattr(webui.shared.cmd_opts, name, value)
    if listens_on:
        monkeypatch.setenv("GRADIO_SERVER_NAME", listens_on)
    assert page.is_public() is expected
    if expected:
        with pytest.raises(InstantStyleError, match="no"):
            page.refuse_strangers("no")
    else:
        page.refuse_strangers("no")
