"""The accordion without a browser: what is built, and what its buttons answer."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.host.generations import PICTURES, UNIT, style
from tests.host.miniature.pressing import press_generate

TXT2IMG = "script_txt2img_instantstyle_"


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


def look(webui, **fields):
    """Text and map data of each unit's status; fields: of unit 1."""
    values = {f"{TXT2IMG}unit_1_{name}": value for name, value in fields.items()}
    facts = json.dumps({"units": [{"image": [{"weight": 1}]}]})
    answers = webui.press(f"{TXT2IMG}look", **values, **{f"{TXT2IMG}facts": facts})
    found = [re.search(r'data-map="([^"]*)"><span>([^<]*)<', answer) for answer in answers]
    return [(html.unescape(m[2]), json.loads(html.unescape(m[1]))) for m in found]


def test_the_status_of_every_unit(webui):
    (first, drawn), (second, _), (third, _) = look(webui)
    assert first.startswith("ip-adapter_sdxl with image encoder")
    assert "with the checkpoint's own text encoder" in first
    assert "into 10 of 70 layers" in first and "Start from weight 1." in first
    assert second.startswith("This unit is off. ip-adapter_sdxl") and third == second
    assert [i for i, block in enumerate(drawn["blocks"]) if block["factor"]] == [6]
    assert drawn["blocks"][6]["name"] == "up_blocks.0.attentions.1"


def test_the_status_says_when_auto_would_take_another_file_than_for_the_last_picture(webui):
    from modules import paths_internal

    from lib_instantstyle.session import SESSION

    models = Path(paths_internal.models_path)
    SESSION.clear()
    said = "For the last picture auto took ip-adapter_sdxl; choose it by its name"
    assert said not in look(webui)[0][0]
    webui.txt2img(**style(UNIT))
    assert said not in look(webui)[0][0]
    new = models / "ControlNet" / "another.safetensors"
    shutil.copy(next(models.rglob("ip-adapter_sdxl.safetensors")), new)
    try:
        assert look(webui)[0][0].startswith("another with image encoder")
        assert said in look(webui)[0][0]
        assert said not in look(webui, adapter="another")[0][0]
        webui.txt2img(**style({**UNIT, "adapter": "ip-adapter_sdxl"}))
        assert said in look(webui)[0][0]  # only auto's choice counts
        webui.txt2img(**style(UNIT))
        assert "For the last picture" not in look(webui)[0][0]
    finally:
        new.unlink()
    assert "For the last picture auto took another;" in look(webui)[0][0]
    SESSION.clear()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"adapter": "missing"}, "Adapter 'missing' is not among the files found (ip-adapter"),
        ({"adapter": "ip-adapter_sd15"}, "is made for SD1.5, the loaded checkpoint is SDXL"),
        ({"weight": 9}, "Weight is 9; a number from -2 to 5 is allowed."),
        ({"blocks": "x y=1"}, "names no block"),
        ({"weight": 0}, "It changes nothing, because its weight is 0."),
        ({"start": 0.8, "end": 0.2}, "start (0.8) is not before end (0.2)."),
    ],
)
def test_what_is_wrong_is_said_before_generating(webui, fields, sentence):
    assert sentence in look(webui, **fields)[0][0]


def test_the_status_knows_a_checkpoint_that_is_not_loaded(webui, monkeypatch):
    from modules import sd_models

    monkeypatch.setattr(sd_models.model_data, "sd_model", None)
    assert "ip-adapter_sdxl" in look(webui)[0][0]
    assert sd_models.model_data.sd_model is None


def test_lists_of_files_are_filled_on_demand(webui):
    updates = webui.press(f"{TXT2IMG}fill")
    names = [choice if isinstance(choice, str) else choice[0] for choice in updates[0]["choices"]]
    assert names[0] == "auto" and {"ip-adapter_sdxl", "ip-adapter_sd15"} <= set(names)


def test_building_looks_at_no_model_file(session, monkeypatch):
    from lib_instantstyle.models import catalog
    from lib_instantstyle.session import SESSION

    monkeypatch.setattr(catalog, "_look", lambda path: pytest.fail(f"{path} was opened"))
    monkeypatch.setattr(SESSION, "_kept", {})
    session.reload_ui()


def test_labels_are_unique_because_defaults_are_saved_by_label(session):
    for tab in ("txt2img", "img2img"):
        controls = session.script("InstantStyle", tab).controls
        labels = [control.label for control in controls]
        assert len(labels) == len(set(labels)) > 80


def test_what_clip_sees_is_shown(webui):
    image = f"data:image/jpeg;base64,{UNIT['image']}"
    values = {f"{TXT2IMG}unit_1_image": image, f"{TXT2IMG}unit_1_crop": "center"}
    (answer,) = webui.press(f"{TXT2IMG}unit_1_crops_button", **values)
    shown = base64.b64decode(re.search(r"base64,([^\"]+)", answer)[1])
    square = np.asarray(Image.open(io.BytesIO(shown)), float)
    whole = Image.open(PICTURES / "coffee.jpg")
    left = (whole.width - whole.height) // 2
    middle = whole.crop((left, 0, left + whole.height, whole.height)).resize((224, 224))
    assert np.abs(square - np.asarray(middle, float)).mean() < 4
    values[f"{TXT2IMG}unit_1_crop"] = "tiles"
    (answer,) = webui.press(f"{TXT2IMG}unit_1_crops_button", **values)
    assert answer.count("<img") > 1
    (answer,) = webui.press(f"{TXT2IMG}unit_1_crops_button")
    assert "Drop a reference picture first." in answer


def test_how_far_the_words_are_read_is_told(webui, monkeypatch):
    from lib_instantstyle.content import report
    from lib_instantstyle.errors import InstantStyleError

    told = []

    def read(picture, unit, progress):
        assert webui.press(f"{TXT2IMG}tell") == [""]
        for done in (32, 1525):
            progress("the encoder <b>", done, 1525)
            told.extend(webui.press(f"{TXT2IMG}tell"))
        raise InstantStyleError("it broke.")

    monkeypatch.setattr(report, "describe_content", read)
    image = f"data:image/jpeg;base64,{UNIT['image']}"
    (answer,) = webui.press(f"{TXT2IMG}unit_1_words_button", **{f"{TXT2IMG}unit_1_image": image})
    assert "It broke." in answer
    assert told == [
        f"Reading 1,525 words with the encoder &lt;b&gt;, once: {done} of 1,525 ..."
        for done in ("32", "1,525")
    ]
    assert webui.press(f"{TXT2IMG}tell") == [""]


def test_words_for_the_reference_are_suggested(webui, few_nouns):
    image = f"data:image/jpeg;base64,{UNIT['image']}"
    values = {f"{TXT2IMG}unit_1_image": image, f"{TXT2IMG}unit_1_content": "a cup"}
    (answer,) = webui.press(f"{TXT2IMG}unit_1_words_button", **values)
    assert answer.count("instantstyle-word") >= 8
    assert re.search(r"a cup: likeness -?\d\.\d\d, -?\d\.\d\d after", answer)


@pytest.mark.parametrize("count", [1, 5])
def test_the_number_of_units_is_a_setting(session, count):
    session.use("tiny_sdxl.")
    session.set(instantstyle_units=count)
    try:
        session.reload_ui()
        ids = {getattr(block, "elem_id", None) for block in session.demo.blocks.values()}
        assert f"{TXT2IMG}unit_{count}_weight" in ids
        assert f"{TXT2IMG}unit_{count + 1}_weight" not in ids
        assert len(look(session)) == count
        fields = {
            f"{TXT2IMG}enabled-checkbox": True,
            f"{TXT2IMG}unit_{count}_enabled": True,
            f"{TXT2IMG}unit_1_weight": 0.5,
            f"{TXT2IMG}unit_1_enabled": count == 1,
            f"{TXT2IMG}unit_{count}_image": UNIT["image"],
        }
        _, info, *_ = press_generate(session, **fields)
        assert f"InstantStyle {count}" in json.loads(info)["infotexts"][0]
    finally:
        session.set(instantstyle_units=3)
        session.reload_ui()


def test_the_page_has_no_more_components_than_it_had(session):
    """Each costs the browser time at every load, and on Gradio 4 at every key in the prompt.

    Counted with three units in both tabs: 1,102 before fields of a group shared one form, 796
    before the groups under "Advanced" went without a column of their own.
    """
    config = session.demo.get_config_file()
    ids = {each["id"]: str(each["props"].get("elem_id") or "") for each in config["components"]}

    def ours(node, inside):
        inside = inside or "_instantstyle_" in ids.get(node["id"], "")
        yield from [node["id"]] if inside else []
        for child in node.get("children") or []:
            yield from ours(child, inside)

    assert len({*ours(config["layout"], False)}) <= 766
