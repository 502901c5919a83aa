"""A user's folders hold whatever they hold: routes, page and generations go on with the rest."""

import os
import shutil
from pathlib import Path

import pytest

from tests.host.generations import PICTURES, UNIT, style
from tests.unit.odd_folders import (
    DAMAGED_WITHIN,
    DISTURBANCES,
    LISTED,
    ODD,
    REFUSED,
    check_answer,
    disturbed,
    make,
)

TXT2IMG = "script_txt2img_instantstyle_"
SEVERAL = [
    "link to itself", "loop of two links", "dangling link", "dangling link to another place",
    "pipe", "socket", "folder", "not UTF-8", "escape", "line break", "line separator",
    "AppleDouble", "decomposed", "Hugging Face cache",
]  # fmt: skip
FLAT = [kind for kind in SEVERAL if not ODD[kind].deep]


def models():
    from modules import paths_internal

    return Path(paths_internal.models_path)


def sound_adapter():
    return next(models().rglob("ip-adapter_sd15.safetensors")).read_bytes()


@pytest.fixture
def odd(webui):
    """Make an odd entry in a folder among the models; all are gone afterwards."""
    made = []

    def put(kind, folder, data):
        path = models() / folder
        path.mkdir(parents=True, exist_ok=True)
        made.append((path, {*path.iterdir()}))
        return make(kind, path, "odd", ".safetensors", data)

    yield put
    for folder, known in made:
        for path in {*folder.iterdir()} - known if folder.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def check_plan(response):
    assert response.status_code == 200
    plan = response.json()
    check_answer(plan.pop("text").split("\n"), models())
    check_answer(plan, models())
    return plan


def check_no_errors(webui):
    assert [text for text in webui.reports if "nstant" in text] == []


def status(webui, **fields):
    values = {f"{TXT2IMG}unit_1_{name}": value for name, value in fields.items()}
    return webui.press(f"{TXT2IMG}look", **values)[0]


@pytest.mark.parametrize("kind", SEVERAL)
def test_an_odd_entry_among_the_adapters(webui, odd, kind):
    styled = webui.txt2img(**style(UNIT)).png
    name = odd(kind, "ControlNet", sound_adapter())
    answer = webui.get("/instantstyle/adapters")
    assert answer.status_code == 200
    answer.encoding = "utf-8"
    found = answer.json()
    check_answer(found, models())
    fate = ODD[kind].fate
    assert (name in [each["name"] for each in found["adapters"]]) == (fate == LISTED)
    assert (name in [each["name"] for each in found["refused"]]) == (fate == REFUSED)
    assert webui.txt2img(**style({**UNIT, "adapter": "ip-adapter_sd15"})).status == 200
    plan = webui.post("/instantstyle/plan", {"units": [{**UNIT, "adapter": name}]})
    plan = check_plan(plan)
    picture = webui.txt2img(expect=None, **style({**UNIT, "adapter": name}))
    if fate == LISTED:
        assert plan["problems"] == [] and plan["units"][0]["adapter"] == name
        assert picture.status == 200 and "adapter: " in picture.infotexts[0]
        assert "\x1b" not in picture.infotexts[0]
    else:
        assert plan["problems"] and picture.status == 422
        check_answer(picture.body["detail"], models())
    status(webui)
    if fate != LISTED:
        assert webui.txt2img(**style(UNIT)).png == styled
    check_no_errors(webui)


@pytest.mark.parametrize("kind", ["escape", "line break"])
def test_no_name_of_a_file_reaches_the_console_as_it_is(webui, odd, library, capfd, kind):
    """It could colour, move and clear what stands there, or write a line of its own."""
    folders = ("ControlNet", "clip_vision", "Lora", "InstantStyle", "InstantStyle/styles")
    names = {folder: odd(kind, folder, b"no model") for folder in folders}
    raw = next(path.name for path in (models() / "Lora").iterdir() if "odd" in path.name)
    webui.reload_ui()
    for unit in (
        {**UNIT, "adapter": names["ControlNet"]},
        {"method": "b-lora", "lora": names["Lora"]},
        {"style": names["InstantStyle/styles"]},
        {**UNIT, "adapter": raw},
        {"style": raw},
    ):
        assert webui.txt2img(expect=None, **style(unit)).status == 422
        webui.post("/instantstyle/plan", {"units": [unit]})
        webui.post("/instantstyle/embed", {**unit, "name": raw})
    for part, event in (("style", "change"), ("style_delete", "click"), ("style_export", "click")):
        webui.press(f"{TXT2IMG}unit_1_{part}", event, **{f"{TXT2IMG}unit_1_style": raw})
    webui.press(f"{TXT2IMG}fill")
    status(webui, adapter=raw)
    print("end of what was printed")
    printed = "".join(capfd.readouterr())
    assert "end of what was printed" in printed
    assert raw not in printed and "\x1b" not in printed and "\r" not in printed


@pytest.mark.parametrize("kind", [kind for kind in SEVERAL if ODD[kind].fate == LISTED])
def test_infotext_brings_an_oddly_named_adapter_back(webui, odd, kind):
    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.units.infotext import read

    name = odd(kind, "ControlNet", sound_adapter())
    written = webui.txt2img(**style({**UNIT, "adapter": name})).parameters
    assert read(written, TABLE).unit.adapter == name


@pytest.mark.parametrize("kind", FLAT)
def test_an_odd_entry_among_the_styles(webui, odd, library, kind):
    for name in ("ink", "made for it"):
        webui.post("/instantstyle/embed", {**UNIT, "name": name})
    data = library.find("ink").path.read_bytes()
    odd(kind, "InstantStyle/styles", data)
    answer = webui.get("/instantstyle/styles")
    assert answer.status_code == 200
    check_answer(answer.json(), models())
    assert {"ink", "made for it"} <= {each["name"] for each in answer.json()["styles"]}
    assert webui.txt2img(**style({"style": "ink"})).status == 200
    page = webui.get("/sd_extra_networks/cards?tabname=txt2img&extra_networks_tabname=InstantStyle")
    assert page.status_code in (200, 404)
    from lib_instantstyle.page.style_cards import cards

    for card in cards():
        check_answer([card.name, card.description, card.metadata], models())
    check_no_errors(webui)


@pytest.mark.parametrize("kind", SEVERAL)
def test_an_odd_entry_among_the_loras(webui, odd, kind):
    """The file need not be sound: how its name fares is what counts."""
    name = odd(kind, "Lora", b"no LoRA")
    unit = {"method": "b-lora", "lora": name}
    webui.use("tiny_sdxl.")
    plan = check_plan(webui.post("/instantstyle/plan", {"units": [unit]}))
    (problem,) = plan["problems"]
    assert problem.startswith("unit 1: ") and problem.endswith(".")
    refused = webui.txt2img(expect=422, **style(unit)).body["detail"]
    assert refused == problem
    line = status(webui, method="b-lora", lora=name)
    assert "instantstyle-problem" in line and str(models()) not in line
    check_no_errors(webui)


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_a_lora_that_cannot_be_read_when_it_is_used(webui, odd, monkeypatch, disturbance):
    webui.use("tiny_sdxl.")
    unit = {"method": "b-lora", "lora": "odd"}
    for ask in (
        lambda: webui.txt2img(expect=422, **style(unit)).body["detail"],
        lambda: webui.post("/instantstyle/plan", {"units": [unit]}).json()["problems"][0],
    ):
        path = models() / "Lora" / "odd.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(b"no LoRA")
        try:
            with disturbed(monkeypatch, path.name, DISTURBANCES[disturbance][0]):
                sentence = ask()
        finally:
            for left in path.parent.glob("odd.safetensors*"):
                left.unlink()
        assert sentence.startswith("unit 1: odd.safetensors ")
        check_answer(sentence, models())
    check_no_errors(webui)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "/home/somebody/models/a b.safetensors"),
        PermissionError(13, "Permission denied", "C:\\Users\\somebody\\models\\a.safetensors"),
        RuntimeError("Symlink loop from '/home/somebody/my models/a.safetensors'"),
        ValueError("cannot map /home/somebody/models/a.safetensors into memory"),
        OSError("cannot identify '/home/somebody/x.png'"),
        KeyError("/home/somebody/models/a.safetensors"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_answer_names_no_folder_whatever_fails(webui, monkeypatch, error):
    from lib_instantstyle.run import dry_run, run

    def fail(*args):
        raise error

    monkeypatch.setattr(run, "start", fail)
    monkeypatch.setattr(dry_run, "dry_run", fail)
    answers = [
        webui.txt2img(expect=422, **style(UNIT)).body,
        webui.post("/instantstyle/plan", {"units": [UNIT]}),
    ]
    assert answers[1].status_code == (422 if isinstance(error, OSError) else 500)
    for answer in (answers[0], answers[1].json()):
        assert type(error).__name__ in answer["detail"]
        for part in ("somebody", "home", "Users"):
            assert part not in str(answer)
    webui.reports.clear()


def test_a_picture_with_an_odd_name_in_a_folder_of_references(webui, tmp_path):
    from lib_instantstyle.errors import InstantStyleError
    from lib_instantstyle.page import xyz_files
    from lib_instantstyle.page.xyz_grid import _shown

    data = (PICTURES / "coffee.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data)
    (tmp_path / "._a.jpg").write_bytes(b"\0\5\x16\7")
    (tmp_path / "folder.png").mkdir()
    odd_name = os.fsdecode(os.fsencode(tmp_path) + b"/\x83\x1b\n.jpg")
    Path(odd_name).write_bytes(data)
    assert len(xyz_files._pictures(tmp_path, "folder")) == 2
    assert _shown(odd_name) == r"\x83\x1b\n.jpg"
    assert xyz_files.picture_in_file(odd_name) == UNIT["image"]
    for kind, odd in ODD.items():
        if odd.fate != REFUSED or odd.deep or kind in ("folder", *DAMAGED_WITHIN):
            continue
        folder = tmp_path / kind
        make(kind, folder, "odd", ".png", data)
        for path in xyz_files._pictures(folder, "folder"):
            with pytest.raises(InstantStyleError, match="cannot be read") as refusal:
                xyz_files.picture_in_file(path)
            check_answer(str(refusal.value), tmp_path)


@pytest.mark.parametrize("typed", ["~nobody-is-called-so/x.png", "a\0b.png", "x" * 5000])
def test_a_path_that_is_none_is_one_sentence(webui, monkeypatch, typed):
    from lib_instantstyle.errors import InstantStyleError
    from lib_instantstyle.page import xyz_files

    monkeypatch.setattr(xyz_files, "may_name_files", lambda p: True)
    with pytest.raises(InstantStyleError, match="cannot be read"):
        xyz_files.pictures_in(None, typed)
