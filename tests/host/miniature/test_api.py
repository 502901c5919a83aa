"""The API: arguments of scripts, infotext in a request, settings, plain routes."""

from __future__ import annotations

import pytest

from tests.miniature import harness


def probe_args(webui, probe, args, **fields):
    webui.txt2img(alwayson_scripts={"Probe": {"args": args}}, **fields)
    return probe.of("process")[0]["args"]


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ([], (False, "default")),
        ([True], (True, "default")),
        ([True, "x"], (True, "x")),
        ([True, "x", "cut"], (True, "x")),
        ([{"an": ["object"]}, None], ({"an": ["object"]}, None)),
    ],
)
def test_defaults_fill_up_and_extras_are_cut(webui, probe, given, seen):
    assert probe_args(webui, probe, given) == seen


@pytest.mark.parametrize("name", ["probe", "PROBE", "Probe"])
def test_the_name_is_the_title_in_any_case(webui, probe, name):
    webui.txt2img(alwayson_scripts={name: {"args": [True]}})
    assert probe.of("process")[0]["args"][0] is True


def test_arguments_may_be_left_out(webui, probe):
    webui.txt2img(alwayson_scripts={"Probe": {}})
    assert probe.of("process")[0]["args"] == (False, "default")


@pytest.mark.parametrize(
    "body",
    [
        {"alwayson_scripts": {"Nobody": {"args": []}}},
        {"alwayson_scripts": {"X/Y/Z plot": {"args": []}}},
        {"script_name": "Nobody"},
    ],
)
def test_unknown_scripts_are_answered_422(webui, body):
    answer = webui.txt2img(expect=422, **body)
    assert answer.body["error"] == "HTTPException"


@pytest.mark.parametrize("args", [None, False, {"a": 1}])
def test_arguments_that_are_no_list_are_answered_500(webui, args):
    webui.txt2img(expect=500, alwayson_scripts={"Probe": {"args": args}})


def test_ui_is_called_three_times_for_page_and_api(session, probe):
    probe.reset()
    session.reload_ui()
    assert [x["tab"] for x in probe.of("ui")] == ["txt2img", "img2img"] + ["txt2img"] * 2 + [
        "img2img"
    ] * 2


def test_script_info(webui):
    info = webui.get("/sdapi/v1/script-info").json()
    ours = [x for x in info if x["name"] == "probe"]
    assert [x["is_img2img"] for x in ours] == [False, True]
    assert [(x["label"], x["value"]) for x in ours[0]["args"]] == [
        ("Probe", False),
        ("Note", "default"),
    ]
    assert "probe" in webui.get("/sdapi/v1/scripts").json()["txt2img"]


def test_infotext_in_the_request(webui, probe):
    text = (
        "a horse\nNegative prompt: fog\nSteps: 2, Sampler: Heun, CFG scale: 3, Seed: 9, "
        "Size: 64x72, Probe note: from text"
    )
    response = webui.post("/sdapi/v1/txt2img", {"infotext": text, "cfg_scale": 5})
    infotext = harness.Answer(200, response.json()).infotexts[0]
    assert infotext.startswith("a horse\nNegative prompt: fog\nSteps: 2, Sampler: Heun")
    assert "CFG scale: 5.0, Seed: 9, Size: 64x72" in infotext
    assert probe.of("process")[0]["args"] == (True, "from text")


def test_images_can_be_left_out_of_the_answer(webui):
    assert webui.txt2img(send_images=False).body["images"] == []


def test_bad_requests(webui):
    assert webui.txt2img(expect=422, steps="many").status == 422
    assert webui.post("/sdapi/v1/img2img", {"prompt": "a cat"}).status_code == 404
    bad = webui.post("/sdapi/v1/img2img", {"init_images": ["nonsense"]})
    assert (bad.status_code, bad.json()["detail"]) == (500, "Invalid encoded image")


def test_override_settings_hold_for_one_request(webui, probe):
    from modules import sd_models

    webui.shared.opts.data["CLIP_stop_at_last_layers"] = 1
    sdxl = sd_models.get_closet_checkpoint_match("tiny_sdxl.").title
    answer = webui.txt2img(
        override_settings={"CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": sdxl}
    )
    assert "Model: tiny_sdxl" in answer.infotexts[0]
    assert "Clip skip: 2" in answer.infotexts[0]
    assert webui.shared.opts.CLIP_stop_at_last_layers == 1
    assert "Model: tiny_sd15," in webui.txt2img().infotexts[0]


def test_a_setting_never_saved_is_not_put_back(webui):
    webui.shared.opts.data.pop("eta_ancestral", None)
    webui.txt2img(override_settings={"eta_ancestral": 0.5})
    assert webui.shared.opts.eta_ancestral == 0.5


def test_options_route(webui):
    webui.set(probe_option="changed")
    assert webui.get("/sdapi/v1/options").json()["probe_option"] == "changed"
    assert webui.post("/sdapi/v1/options", {"nobody": 1}).status_code == 500
    assert webui.post("/sdapi/v1/options", {"sd_model_checkpoint": "nobody"}).status_code == 500


def test_routes_that_only_list(webui):
    titles = [x["model_name"] for x in webui.get("/sdapi/v1/sd-models").json()]
    assert {"tiny_sd15", "tiny_sdxl", "tiny_sd15_inpaint"} <= set(titles)
    assert "Euler" in [x["name"] for x in webui.get("/sdapi/v1/samplers").json()]
    for path in ("progress", "memory", "upscalers", "schedulers", "cmd-flags", "extensions"):
        assert webui.get(f"/sdapi/v1/{path}").status_code == 200, path
    assert webui.post("/sdapi/v1/refresh-checkpoints").status_code == 200
