"""Our routes: what clients are told without making a picture."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PIL import Image

from tests.host.generations import PICTURES, ROOT, UNIT, picture, style
from tests.host.plans import agreed
from tests.host.plots import GRIDS, plot
from tests.miniature.harness import to_base64
from tests.miniature.tiny.linked import FAMILY

COFFEE = PICTURES / "coffee.jpg"
pytestmark = pytest.mark.usefixtures("all_checkpoints_in_memory")


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


def get(webui, path, expect=200):
    response = webui.get(f"/instantstyle/{path}")
    assert response.status_code == expect, response.text
    return response.json()


def test_version(webui):
    from lib_instantstyle import __version__

    assert get(webui, "version") == {"name": "InstantStyle", "version": __version__}


def test_adapters_say_what_they_are_and_whether_they_fit(webui):
    listed = {a["name"]: a for a in get(webui, "adapters")["adapters"]}
    sdxl, sd15 = listed["ip-adapter_sdxl"], listed["ip-adapter_sd15"]
    assert sdxl == {
        "name": "ip-adapter_sdxl", "kind": "linear", "layout": "sdxl", "layers": 70,
        "encoder": "CLIP-ViT-bigG", "problem": None,
    }  # fmt: skip
    assert sd15["encoder"] is None and "is made for SD1.5" in sd15["problem"]
    webui.use("tiny_sd15.")
    listed = {a["name"]: a for a in get(webui, "adapters")["adapters"]}
    assert listed["ip-adapter_sd15"]["problem"] is None
    assert "is made for SDXL" in listed["ip-adapter_sdxl"]["problem"]


def test_presets_are_those_of_the_table(webui):
    from lib_instantstyle.units.presets import PRESETS

    listed = {p["id"]: p for p in get(webui, "presets")["presets"]}
    assert list(listed) == list(PRESETS)
    style = {"index": 6, "name": "up_blocks.0.attentions.1", "factor": 1.0, "of": "weight"}
    assert listed["style"]["blocks"]["sdxl"] == [style]
    assert [b["index"] for b in listed["style"]["blocks"]["sd15"]] == [7, 8, 9]


def test_blocks_are_those_of_the_chosen_checkpoint(webui):
    answer = get(webui, "blocks")
    assert answer["checkpoint"] == "tiny_sdxl.safetensors" and answer["layout"] == "sdxl"
    assert [b["layers"] for b in answer["blocks"]] == [2, 2, 10, 10, 10, 10, 10, 10, 2, 2, 2]
    assert answer["blocks"][6]["name"] == "up_blocks.0.attentions.1"
    webui.use("tiny_sd15.")
    assert len(get(webui, "blocks")["blocks"]) == 16


def test_a_checkpoint_of_another_family_is_a_sentence(webui, monkeypatch):
    from lib_instantstyle.hosts import checkpoint as chosen_checkpoint

    monkeypatch.setattr(chosen_checkpoint, "checkpoint_in_memory", lambda override="": None)
    monkeypatch.setattr(chosen_checkpoint, "read_tensors", lambda path: {})
    answer = get(webui, "blocks", expect=422)
    assert "of these two families" in answer["detail"]


def test_nothing_says_where_on_this_machine_files_lie(webui):
    import modules.paths_internal

    for path in ("adapters", "presets", "blocks", "version"):
        assert modules.paths_internal.models_path not in webui.get(f"/instantstyle/{path}").text


def test_openapi_describes_every_route(webui):
    paths = webui.get("/openapi.json").json()["paths"]
    ours = {path: each for path, each in paths.items() if path.startswith("/instantstyle")}
    assert set(ours) == {r.path for r in webui.app.routes if r.path.startswith("/instantstyle")}
    assert len(ours) == 9
    for each in ours.values():
        for operation in each.values():
            assert operation["description"] and operation["tags"] == ["InstantStyle"]
            assert operation["responses"]["422"]["content"]["application/json"]["schema"]


@pytest.mark.parametrize("page", [True, False])
def test_a_password_of_the_api_guards_our_routes_too(tmp_path, page):
    code = (
        "from tests.miniature import harness; "
        f"w = harness.boot({str(tmp_path)!r}, {str(ROOT)!r}, family={str(FAMILY)!r}, "
        f"page={page}, api_auth='me:secret', skip_load_model_at_start=True); "
        "paths = [r.path for r in w.app.routes if r.path.startswith('/instantstyle')]; "
        "ask = lambda **k: [getattr(w.client, m)(p, **k).status_code "
        "for p in paths for m in ('get', 'post')]; "
        "print(len(paths), set(ask()), set(ask(auth=('me', 'guess'))), "
        "w.client.get('/instantstyle/version', auth=('me', 'secret')).status_code)"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    count, *rest = done.stdout.splitlines()[-1].split(maxsplit=1)
    assert int(count) >= 4
    assert rest == ["{401, 405} {401, 405} 200"]


def test_without_an_api_there_are_no_routes_of_ours(webui, monkeypatch):
    from fastapi import FastAPI

    from lib_instantstyle.api import routes
    from lib_instantstyle.hosts import page as api

    app = FastAPI()
    routes.register_routes(None, app)
    assert not [r for r in app.routes if r.path.startswith("/instantstyle")]
    # A guard that should be there and cannot be found counts as no API.
    monkeypatch.setattr(webui.shared.cmd_opts, "api_auth", "me:secret")
    assert api.api_guard(webui.app) is None


# -- plan ----------------------------------------------------------------------------------------


def plan(webui, *units, expect=200, **fields):
    response = webui.post("/instantstyle/plan", {"units": list(units), **fields})
    assert response.status_code == expect, response.text
    return response.json()


@pytest.fixture
def no_model(monkeypatch):
    """A plan loads nothing and runs nothing."""
    import torch

    from lib_instantstyle.methods.ip_adapter import projections
    from lib_instantstyle.references import vectors

    def never(*args, **kwargs):
        raise AssertionError("a model was loaded or run")

    monkeypatch.setattr(vectors, "load_image_encoder", never)
    monkeypatch.setattr(projections, "open_tensors", never)
    monkeypatch.setattr(torch.nn.Conv2d, "forward", never)


def test_a_plan_says_what_a_generation_would_do(webui, no_model):
    answer = plan(webui, {**UNIT, "preset": "style+layout", "weight": 0.8, "end": 0.5}, steps=10)
    (unit,) = answer["units"]
    assert answer["checkpoint"] == "tiny_sdxl.safetensors" and answer["layout"] == "sdxl"
    assert answer["in_memory"] is True and answer["problems"] == []
    assert (unit["adapter"], unit["kind"]) == ("ip-adapter_sdxl", "linear")
    assert unit["encoder"] == "CLIP-ViT-bigG"
    assert [(b["name"], b["weight"], b["layers"]) for b in unit["blocks"]] == [
        ("down_blocks.2.attentions.1", 0.8, 10),
        ("up_blocks.0.attentions.1", 0.8, 10),
    ]
    assert unit["steps"] == [1, 2, 3, 4, 5] and unit["hires_steps"] == []
    (reference,) = unit["references"]
    assert (reference["width"], reference["height"]) == Image.open(COFFEE).size
    assert len(reference["sha256"]) == 64 and reference["weight"] == 1
    assert "up_blocks.0.attentions.1: weight 0.8" in answer["text"]
    assert "steps 1 to 5" in answer["text"]


def test_a_plan_says_which_references_are_remembered(webui, monkeypatch):
    from lib_instantstyle.hosts.a1111 import A1111
    from lib_instantstyle.references import vectors

    monkeypatch.setattr(vectors.cache(), "tensors", type(vectors.cache().tensors)())
    monkeypatch.setattr(A1111, "embeddings_folder", lambda self: None)  # as if never seen
    assert plan(webui, UNIT)["units"][0]["references"][0]["remembered"] is False
    webui.txt2img(**style(UNIT))
    assert plan(webui, UNIT)["units"][0]["references"][0]["remembered"] is True
    assert plan(webui, {**UNIT, "crop": "pad"})["units"][0]["references"][0]["remembered"] is False


def test_a_plan_names_every_problem_and_not_the_first_alone(webui, no_model):
    answer = plan(
        webui,
        {**UNIT, "weight": 9, "colour": 1, "adapter": "nobody", "mask": "no picture"},
        {"image": ["nonsense", UNIT["image"]], "content": "a cup " * 60},
        {"enabled": False, "start": 0.7, "end": 0.2, "weight": 0},
    )
    for sentence in (
        "unit 1: weight is 9",
        "unit 1: the field 'colour' is unknown",
        "unit 1: adapter 'nobody' is not among the files found",
        "unit 1: mask is 'no picture'",
        "unit 2: image cannot be read as a picture (its format is unknown)",
        "unit 3: it is off",
        "its weight is 0",
        "start (0.7) is not before end (0.2)",
    ):
        assert any(sentence in problem for problem in answer["problems"]), sentence
    assert len(answer["units"][1]["references"]) == 1
    assert all(f"Problem: {problem}" in answer["text"] for problem in answer["problems"])


def test_a_plan_and_a_generation_agree(webui):
    """What the plan calls a problem is refused with that sentence, and nothing else is."""
    webui.use("tiny_sd15.")
    for change in (
        {}, {"preset": "original"}, {"adapter": "ip-adapter_sdxl"}, {"blocks": [1, 2, 3]},
        {"blocks": "up_blocks.9=1"}, {"image": "nonsense"}, {"image": ""}, {"weight": "much"},
        {"content": "a cup", "adapter": "ip-adapter_sd15"},
        {"content": "a cup", "adapter": "ip-adapter-plus_sd15"},
        {"mask": "nonsense"}, {"adapter": "ip-adapter-plus_sd15", "crop": "tiles"},
    ):  # fmt: skip
        unit = {**UNIT, **change}
        problems = plan(webui, unit)["problems"]
        answer = webui.txt2img(expect=None, **style(unit))
        assert answer.status == (422 if problems else 200), (change, problems, answer.body)
        if problems:
            assert answer.body["detail"] == problems[0]


ON_SELF_ATTENTION = [
    {}, {"crop": "tiles"}, {"mask": UNIT["image"]}, {"image": [UNIT["image"]] * 2}, {"blocks": "0"},
    {"blocks": "77=1"}, {"image": "nonsense"}, {"image": ""}, {"schedule": "published"},
]  # fmt: skip


@pytest.mark.parametrize("method", ["styleid", "stylealigned", "swap"])
@pytest.mark.parametrize("change", ON_SELF_ATTENTION, ids=str)
def test_a_plan_and_a_generation_agree_on_methods_of_self_attention(webui, method, change):
    webui.use("tiny_sd15.")
    unit = {**UNIT, "method": method, **change}
    frame = Image.new("RGB", (64, 64), (40, 90, 200))
    for fields in ({}, {"init_images": [to_base64(frame)], "denoising_strength": 0.9}):
        request = {"steps": 2, **fields, **style(unit)}
        agreed(webui, request)


@pytest.mark.parametrize(
    "fields",
    [
        {"batch_size": 2},
        {"refiner_checkpoint": "tiny_sd15", "refiner_switch_at": 0.5},
        {"init_images": 1, "denoising_strength": 0.9},
        {"init_images": 1, "denoising_strength": 1.0, "steps": 7},
    ],
    ids=str,
)
def test_a_plan_knows_what_of_the_request_stands_in_the_way(webui, fields):
    webui.use("tiny_sd15.")
    if "init_images" in fields:
        fields = {**fields, "init_images": [to_base64(Image.new("RGB", (64, 64)))]}
    published = {**UNIT, "method": "styleid", "schedule": "published"}
    for units in (
        [{"method": "swap"}], [{**UNIT, "method": "swap"}], [published],
        [{**UNIT, "method": "stylealigned"}, {**UNIT, "method": "swap"}],
        [{**UNIT, "method": "swap", "enabled": False}, {**UNIT, "method": "swap", "crop": "pad"}],
    ):  # fmt: skip
        agreed(webui, {"steps": 2, **fields, **style(*units)}, but=": it is off.")


def test_a_plan_knows_the_checkpoint_and_the_settings_that_stand_in_the_way(webui):
    request = {"steps": 2, **style({**UNIT, "method": "swap"})}
    webui.use("tiny_sd15_inpaint.")
    assert "inpainting checkpoint" in agreed(webui, request)[0]
    webui.use("tiny_sd15.")
    webui.shared.opts.data["token_merging_ratio"] = 0.4
    assert "token merging" in agreed(webui, request)[0]


def test_a_plan_counts_the_steps_of_both_passes(webui, no_model):
    fields = {"steps": 4, "enable_hr": True, "hr_second_pass_steps": 2}
    unit = plan(webui, {**UNIT, "start": 0.5}, **fields)["units"][0]
    assert (unit["steps"], unit["hires_steps"]) == ([3, 4], [2])
    unit = plan(webui, {**UNIT, "hires_pass": "hires"}, **fields)["units"][0]
    assert (unit["steps"], unit["hires_steps"]) == ([], [1, 2])
    assert plan(webui, {**UNIT, "hires_pass": "hires"})["units"][0]["idle"]
    assert "no sampling step of 4" in plan(webui, {**UNIT, "start": 0.9}, steps=4)["problems"][0]


def test_a_plan_takes_a_whole_request(webui, no_model):
    expected = plan(webui, UNIT, steps=3)
    request = {"prompt": "a cat", "steps": 3, **style(UNIT)}
    response = webui.post("/instantstyle/plan", request)
    assert response.json() == expected
    response = webui.post("/instantstyle/plan", {"args": [True, UNIT], "steps": 3})
    assert response.json() == expected
    assert (
        "no unit was sent" in webui.post("/instantstyle/plan", {"args": []}).json()["problems"][0]
    )


def test_a_plan_for_a_checkpoint_that_is_not_in_memory(webui, no_model, monkeypatch):
    """As on Forge before the first picture."""
    from modules import sd_models

    expected = plan(webui, UNIT)
    monkeypatch.setattr(sd_models.model_data, "sd_model", object())
    answer = plan(webui, {**UNIT, "content": "a cup"})
    assert answer["in_memory"] is False
    assert "not in memory yet" in answer["units"][0]["remarks"][0]
    for key in ("adapter", "encoder", "blocks", "steps", "problems"):
        assert answer["units"][0][key] == expected["units"][0][key]


def test_a_plan_says_what_would_be_subtracted(webui):
    line = plan(webui, {**UNIT, "content": "a cup|a spoon"})["units"][0]["subtracted"]
    assert line.startswith("0.5 times 'a cup' and 'a spoon' (difference), read by ")


# -- bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        (b"{}", "text/plain", "Content-Type: application/json"),
        (b"{}", "", "Content-Type: application/json"),
        (b"{", "application/json", "is not JSON"),
        (b"[" * 100_000, "application/json", "is not JSON"),
        (
            b'{"a":' * 65 + b"1" + b"}" * 65,
            "application/json",
            "is not JSON (its brackets",
        ),
        (b'{"a": ' + b"9" * 10**6 + b"}", "application/json", "has 1000000 digits, up to 20"),
        (b"[]", "application/json", "not a JSON object"),
        (b"{}", "application/json; charset=utf-8", "has no units"),
        (b'{"units": 3}', "application/json", "units is not a list of objects"),
        (b'{"units": [], "steps": -1}', "application/json", "steps is -1; a whole number"),
        (b'{"units": [], "cfg_scale": "x"}', "application/json", "cfg_scale is 'x'; a number"),
    ],
)
def test_a_body_that_is_none_is_one_sentence(webui, body, kind, sentence):
    headers = {"Content-Type": kind} if kind else {}
    response = webui.client.post("/instantstyle/plan", content=body, headers=headers)
    assert response.status_code == 422
    assert sentence in response.json()["detail"]


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [
        ({"image": "[" * 5000}, "a picture as base64 text, data URL"),
        ({"image": "[" * 70 + "]" * 70}, "a picture as base64 text, data URL"),
        ({"blocks": "[" * 5000}, "its brackets lie more than 64 deep"),
        ({"blocks": "diffusers: " + '{"up":' * 5000}, "characters; up to 16,384 are allowed"),
        ({"blocks": {"up": {"block_0": [1] * 1000}}}, "blocks has 1,002 entries; up to 256"),
        ({"weight": "1" * 5000}, "a number from -2 to 5"),
        ({"image": [""] * 1000}, "it has 1000 entries; up to 16 are allowed"),
    ],
)
def test_what_is_nested_or_long_is_one_sentence(webui, unit, sentence):
    given = {**UNIT, **unit}
    (problem,) = [p for p in plan(webui, given)["problems"] if "no reference" not in p]
    assert sentence in problem and len(problem) < 500
    assert sentence in webui.txt2img(expect=422, **style(given)).body["detail"]


def test_the_pictures_of_all_units_have_one_budget(webui, monkeypatch):
    from lib_instantstyle import limits

    units = [{**UNIT, "image": picture(name), "weight": 0.5} for name in PICTURES_OF_TWO]
    sizes = [Image.open(PICTURES / name).size for name in PICTURES_OF_TWO]
    pixels = [width * height for width, height in sizes]
    monkeypatch.setattr(limits, "REQUEST_PIXELS", sum(pixels))
    webui.txt2img(**style(*units))
    webui.txt2img(**style(*units, units[0]))  # the same picture again costs nothing
    monkeypatch.setattr(limits, "REQUEST_PIXELS", sum(pixels) - 1)
    sentence = f"the pictures of the request have {sum(pixels):,} pixels; up to"
    assert sentence in webui.txt2img(expect=422, **style(*units)).body["detail"]
    answer = webui.post("/instantstyle/plan", {"units": units}).json()
    (problem,) = answer["problems"]
    assert problem.startswith("unit 2: with image") and sentence in problem


PICTURES_OF_TWO = ("coffee.jpg", "deep_field.jpg")


def test_a_body_that_is_too_long_is_refused(webui, monkeypatch):
    from lib_instantstyle import limits

    monkeypatch.setattr(limits, "REQUEST_BYTES", 1000)
    response = webui.post("/instantstyle/plan", {"units": [], "x": "y" * 2000})
    assert response.status_code == 422 and "more than 1,000 bytes" in response.json()["detail"]


# -- content, styles, report ---------------------------------------------------------------------


def test_content_says_how_like_a_reference_is_to_words(webui, few_nouns):
    body = {**UNIT, "content": "a cup of coffee", "count": 3}
    response = webui.post("/instantstyle/content", body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["adapter"] == "ip-adapter_sdxl" and len(answer["suggestions"]) == 3
    (similarity,) = answer["texts"]
    assert similarity["text"] == "a cup of coffee" and similarity["before"] != similarity["after"]
    for broken, sentence in (
        ({"content": "a cup"}, "has no reference"),
        ({**UNIT, "count": 1000}, "count is 1000"),
        ({**UNIT, "colour": 1}, "'colour' is unknown"),
    ):
        response = webui.post("/instantstyle/content", broken)
        assert response.status_code == 422 and sentence in response.json()["detail"]


def test_styles_are_those_of_the_library(webui):
    assert get(webui, "styles") == {"styles": [], "refused": []}


def test_a_picture_becomes_a_style_that_plans_and_plots_use(webui):
    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.styles.library import library

    try:
        for name, file in (("a cup", "coffee.jpg"), ("stars", "deep_field.jpg")):
            response = webui.post("/instantstyle/embed", {"name": name, "image": picture(file)})
            assert response.status_code == 200, response.text
        listed = get(webui, "styles")["styles"]
        assert [style["name"] for style in listed] == ["a cup", "stars"]
        assert response.json() == listed[1] and listed[0]["references"] == 1
        answer = plan(webui, {"style": "stars"})
        assert answer["problems"] == [] and answer["units"][0]["style"] == "stars"
        assert "is not among the saved styles" in plan(webui, {"style": "moon"})["problems"][0]
        cells = plot(webui, ("[InstantStyle] style", "a cup, stars")).pixels[GRIDS:]
        assert cells == [
            webui.txt2img(**style({"style": name})).pixels[0] for name in ("a cup", "stars")
        ]
        assert cells[0] != cells[1]
        for body, sentence in (
            ({**UNIT, "name": "a cup"}, "there already"),
            ({**UNIT, "name": "../../etc/style"}, "name"),
            (UNIT, "name is None"),
            ({"name": "empty"}, "has no reference"),
        ):
            response = webui.post("/instantstyle/embed", body)
            assert response.status_code == 422 and sentence in response.json()["detail"]
    finally:
        for saved in library(TABLE).styles():
            saved.path.unlink()


def test_report_is_of_the_last_generation_that_asked_for_one(webui):
    webui.txt2img(**style({**UNIT, "report": True}))
    response = webui.post("/instantstyle/report", {})
    (block,) = response.json()["blocks"]
    assert block["block"] == "up_blocks.0.attentions.1" and block["ratio"] > 0


def random_json(chance, depth=0):
    """Any JSON value, with the names and values that our routes know more often than others."""
    from tests.units import FIELDS

    kind = chance.randrange(7 if depth < 3 else 5)
    if kind < 5:
        return chance.choice(
            [None, True, False, 0, -1, 2**70, 0.5, 1e308, "", "auto", "style", "nonsense", "é\0",
             "x" * 2000, "a cup", UNIT["image"], f"data:image/png;base64,{UNIT['image']}", "6:1"]
        )  # fmt: skip
    if kind == 5:
        return [random_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    names = [*FIELDS, "units", "args", "alwayson_scripts", "InstantStyle", "name", "count", "steps"]
    return {
        chance.choice(names): random_json(chance, depth + 1) for _ in range(chance.randrange(5))
    }


@pytest.mark.parametrize("seed", range(3))
def test_any_json_is_answered_or_refused(webui, few_nouns, seed):
    import random

    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.styles.library import library

    chance = random.Random(seed)
    try:
        for _ in range(60):
            unit = random_json(chance, 1)
            for path, body in (
                ("plan", {"units": [unit, {**UNIT, "weight": unit}], "steps": random_json(chance)}),
                ("plan", random_json(chance)),
                ("content", {**UNIT, "content": unit, "count": chance.choice([0, 1, unit])}),
                ("embed", {"name": unit, "image": random_json(chance)}),
                ("report", random_json(chance)),
            ):
                response = webui.post(f"/instantstyle/{path}", body)
                assert response.status_code in (200, 422), (path, body, response.text)
                if response.status_code == 422:
                    assert isinstance(response.json()["detail"], str)
    finally:
        for saved in library(TABLE).styles():
            saved.path.unlink()
