"""The miniature WebUI behaves to an extension as A1111 v1.10.1 was seen to behave."""

from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from tests.miniature import harness

CHECKPOINTS = ("tiny_sd15", "tiny_sdxl")
LONG = "a very long prompt about " + "cats and dogs " * 80


@pytest.fixture(scope="session")
def session():
    return harness.session()


@pytest.fixture
def webui(session):
    """Settings, plan and reports are put back after every test; all checkpoints stay in memory."""
    import lib_probe

    session.shared.opts.data["sd_checkpoints_limit"] = 3
    session.use("tiny_sd15.")
    saved = dict(session.shared.opts.data)
    lib_probe.reset()
    session.reports.clear()
    yield session
    session.shared.opts.data = saved
    lib_probe.reset()


@pytest.fixture
def probe():
    import lib_probe

    return lib_probe


@pytest.fixture
def photo():
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    return Image.fromarray(
        np.dstack(
            [np.tile(ramp, (64, 1)), np.tile(ramp[:, None], 64), np.full((64, 64), 90, np.uint8)]
        )
    )


@pytest.fixture
def mask():
    image = Image.new("L", (64, 64))
    image.paste(255, (16, 16, 48, 48))
    return image


# -- rows of the UNet calls ----------------------------------------------------------------------

BOTH = ["c0 c1 u0 u1"]
ROWS = {
    "cfg 7": ({}, {}, [BOTH] * 3),
    "cfg 1 calls both": ({"cfg_scale": 1}, {}, [BOTH] * 3),
    "heun calls twice": ({"sampler_name": "Heun"}, {}, [BOTH] * 5),
    "euler a": ({"sampler_name": "Euler a"}, {}, [BOTH] * 3),
    "dpm++ 2m": ({"sampler_name": "DPM++ 2M"}, {}, [BOTH] * 3),
    "ddim": ({"sampler_name": "DDIM"}, {}, [BOTH] * 3),
    "long prompt": ({"prompt": LONG}, {}, [["c0 c1", "u0 u1"]] * 3),
    "long negative": ({"negative_prompt": LONG}, {}, [["c0 c1", "u0 u1"]] * 3),
    "padded": ({"prompt": LONG}, {"pad_cond_uncond": True}, [BOTH] * 3),
    "padded v0": ({"prompt": LONG}, {"pad_cond_uncond_v0": True}, [BOTH] * 3),
    "padded negative": ({"negative_prompt": LONG}, {"pad_cond_uncond": True}, [BOTH] * 3),
    "AND": ({"prompt": "a cat AND a dog"}, {}, [["c0 c1 c2 c3 u0 u1"]] * 3),
    "AND and long": (
        {"prompt": f"a cat AND {LONG}"},
        {},
        [["c0 c1 c2 c3", "u0 u1"]] * 3,
    ),
    "s_min_uncond": ({"s_min_uncond": 100}, {}, [BOTH, ["c0 c1"], BOTH]),
    "s_min_uncond_all": ({"s_min_uncond": 100}, {"s_min_uncond_all": True}, [["c0 c1"]] * 3),
    "skip_early_cond": ({}, {"skip_early_cond": 0.3}, [["c0 c1"], BOTH, BOTH]),
    "batch_cond_uncond off": ({}, {"batch_cond_uncond": False}, [["c0 c1", "u0 u1"]] * 3),
    "off and AND": (
        {"prompt": "a cat AND a dog"},
        {"batch_cond_uncond": False},
        [["c0 c1", "c2 c3", "u0 u1"]] * 3,
    ),
    "off and AND and long": (
        {"prompt": f"a cat AND {LONG}"},
        {"batch_cond_uncond": False},
        [["c0 c1", "c2 c3", "u0 u1"]] * 3,
    ),
}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("case", ROWS)
def test_rows(webui, checkpoint, case):
    fields, options, expected = ROWS[case]
    webui.use(checkpoint + ".")
    webui.shared.opts.data.update(options)
    with webui.record() as recorder:
        webui.txt2img(**{"negative_prompt": "blurry", "batch_size": 2, **fields})
    assert recorder.steps() == expected


def test_rows_are_mixed_where_prompts_of_a_batch_have_different_parts(webui):
    webui.shared.opts.data["batch_cond_uncond"] = False
    with webui.record() as recorder:
        webui.txt2img(
            prompt="a cat|AND a dog",
            negative_prompt="blurry",
            batch_size=2,
            script_name="Prompt matrix",
            script_args=[False, False, "positive", "comma", 0],
        )
    assert recorder.steps() == [["c0 c1", "c2 u0", "u1"]] * 3


def test_token_counts_of_a_long_prompt(webui):
    with webui.record() as recorder:
        webui.txt2img(prompt=LONG, negative_prompt="blurry")
    first, second = recorder.calls[:2]
    assert first.tokens > second.tokens == 77
    assert first.tokens % 77 == 0


@pytest.mark.parametrize(
    ("checkpoint", "positional", "keywords"),
    [("tiny_sd15", 2, ("context",)), ("tiny_sdxl", 1, ("timesteps", "context", "y"))],
)
def test_how_the_unet_is_called(webui, checkpoint, positional, keywords):
    webui.use(checkpoint + ".")
    with webui.record() as recorder:
        webui.txt2img()
    assert {(x.positional, x.keywords) for x in recorder.calls} == {(positional, keywords)}


def test_what_the_denoiser_callbacks_receive(webui, probe):
    webui.use("tiny_sdxl.")
    webui.txt2img(batch_size=2, negative_prompt="blurry")
    params = [x["args"][0] for x in probe.of("cfg_denoiser")]
    assert [x.sampling_step for x in params] == [0, 0, 1]  # the callback of a step comes after it
    assert {x.total_sampling_steps for x in params} == {3}
    assert params[0].x.shape == (4, 4, 8, 8)
    assert params[0].sigma.shape == (4,)
    assert len(params[0].text_cond["crossattn"]) == 2
    assert params[0].text_uncond.shape == params[0].text_uncond["crossattn"].shape
    denoiser = params[0].denoiser
    assert (denoiser.step, denoiser.total_steps, denoiser.steps) == (3, 3, 3)
    assert [x["args"][0].x.shape[0] for x in probe.of("cfg_denoised")] == [4] * 3
    assert [x["args"][0].x.shape[0] for x in probe.of("cfg_after_cfg")] == [2] * 3


def test_a_second_order_sampler_counts_calls_not_steps(webui, probe):
    webui.txt2img(sampler_name="Heun")
    denoiser = probe.of("cfg_denoiser")[-1]["args"][0].denoiser
    assert (denoiser.step, denoiser.total_steps, denoiser.steps) == (5, 6, 3)


def test_a_change_of_the_result_in_after_cfg_is_used(webui):
    from modules import script_callbacks

    def darker(params):
        params.x = params.x * 0.5

    plain = webui.txt2img().pixels
    script_callbacks.on_cfg_after_cfg(darker)
    changed = webui.txt2img().pixels
    script_callbacks.remove_callbacks_for_function(darker)
    assert changed != plain
    assert webui.txt2img().pixels == plain


# -- hooks ---------------------------------------------------------------------------------------

BATCH = [
    "before_process_batch",
    "after_extra_networks_activate",
    "process_batch",
    "process_before_every_sampling",
    "post_sample",
    "postprocess_batch",
    "postprocess_batch_list",
    "postprocess_image",
    "postprocess_maskoverlay",
    "postprocess_image_after_composite",
]
START = ["setup", "before_process", "process"]


def hooks(probe):
    return [
        x
        for x in probe.names()
        if x in {*START, *BATCH, "before_hr", "on_mask_blend", "postprocess"}
    ]


def test_hooks_in_order(webui, probe):
    webui.txt2img()
    assert hooks(probe) == [*START, *BATCH, "postprocess"]


def test_hooks_of_two_batches_of_two(webui, probe):
    webui.txt2img(n_iter=2, batch_size=2)
    per_image = BATCH[-3:]
    batch = [*BATCH[:-3], *per_image, *per_image]
    assert hooks(probe) == [*START, *batch, *batch, "postprocess"]
    assert [x["kwargs"]["batch_number"] for x in probe.of("process_batch")] == [0, 1]


def test_keyword_arguments_of_hooks(webui, probe):
    webui.txt2img()
    batch = {"batch_number", "prompts", "seeds", "subseeds"}
    expected = {
        "setup": set(),
        "before_process": set(),
        "process": set(),
        "before_process_batch": batch,
        "after_extra_networks_activate": {*batch, "extra_network_data"},
        "process_batch": batch,
        "process_before_every_sampling": {"x", "noise", "c", "uc"},
        "post_sample": set(),
        "postprocess_batch": {"images", "batch_number"},
        "postprocess_batch_list": {"batch_number"},
        "postprocess_image": set(),
        "postprocess": set(),
    }
    for name, keywords in expected.items():
        assert set(probe.of(name)[0]["kwargs"]) == keywords, name
    firsts = {"post_sample": "PostSampleArgs", "postprocess_image": "PostprocessImageArgs"}
    for name, kind in {**firsts, "postprocess": "Processed"}.items():
        assert probe.of(name)[0]["first"] == [kind]
    assert [x["args"] for x in probe.of("process")] == [(False, "default")]


def test_the_sampler_exists_when_sampling_is_announced(webui, probe):
    webui.txt2img()
    event = probe.of("process_before_every_sampling")[0]
    assert event["sampler"].launch_sampling
    assert probe.of("process")[0]["sampler"] is None
    assert event["kwargs"]["x"].shape == (1, 4, 8, 8)


def test_hires_fix_hooks(webui, probe):
    webui.txt2img(enable_hr=True, hr_scale=2, denoising_strength=0.5, hr_upscaler="Latent")
    sampling = probe.of("process_before_every_sampling")
    assert [x["is_hr_pass"] for x in sampling] == [False, True]
    assert sampling[0]["sampler"] is not sampling[1]["sampler"]
    assert sampling[1]["kwargs"]["x"].shape == (1, 4, 16, 16)
    second = ["after_extra_networks_activate", "before_hr", "process_before_every_sampling"]
    i = BATCH.index("post_sample")
    assert hooks(probe) == [*START, *BATCH[:i], *second, *BATCH[i:], "postprocess"]


def test_exceptions_in_hooks_are_printed_and_the_picture_is_made(webui, probe):
    plain = webui.txt2img().pixels
    for name in [*START, *BATCH, "postprocess"]:
        probe.reset(raise_in=name, error="ValueError")
        webui.reports.clear()
        assert webui.txt2img().pixels == plain
        assert any(f"Error running {name}" in x and "probe <says> no" in x for x in webui.reports)


def test_setup_runs_once_and_needs_arguments(webui, probe):
    from modules import processing, scripts

    p = processing.StableDiffusionProcessingTxt2Img()
    p.scripts = scripts.scripts_txt2img
    p.script_args = ()
    assert probe.of("setup") == []
    p.script_args = tuple(webui.api.default_script_arg_txt2img)
    p.script_args = tuple(webui.api.default_script_arg_txt2img)
    assert len(probe.of("setup")) == 1


def test_builtin_scripts_set_up_only_from_the_page(webui, probe):
    """The API's own steps would be overwritten by the Sampler script's 20 otherwise."""
    webui.txt2img(steps=2)
    assert probe.of("process")[0]["p"].steps == 2


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["init", "sample", "launch_sampling"])
def test_an_error_of_ours_reaches_the_api(webui, probe, place):
    at = "process_before_every_sampling" if place == "launch_sampling" else "process"
    probe.reset(replace_at=at, replace=[place], error="ProbeError")
    answer = webui.txt2img(expect=422)
    assert answer.body == {
        "error": "ProbeError",
        "detail": "probe <says> no",
        "body": "",
        "errors": "probe <says> no",
    }
    assert "postprocess" not in probe.names()
    probe.reset()
    assert webui.txt2img().images


@pytest.mark.parametrize("error", ["ValueError", "gr.Error"])
def test_other_errors_are_answered_500(webui, probe, error):
    probe.reset(replace_at="process", replace=["init"], error=error)
    answer = webui.txt2img(expect=500)
    assert set(answer.body) == {"error", "detail", "body", "errors"}
    assert answer.body["detail"] == ""


def test_the_page_shows_class_and_sentence_and_no_picture(webui, probe):
    probe.reset(replace_at="process", replace=["init"], error="ProbeError")
    gallery, _, _, log = press_generate(webui)
    assert gallery in (None, [])
    assert "<div class='error'>ProbeError: probe &lt;says&gt; no</div>" in log


# -- arguments of the API ------------------------------------------------------------------------


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


# -- settings ------------------------------------------------------------------------------------


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


# -- checkpoints ---------------------------------------------------------------------------------


def forget_checkpoints(webui):
    """Only the loaded one stays, and there is room for no other."""
    from modules import sd_models

    webui.shared.opts.data["sd_checkpoints_limit"] = 1
    del sd_models.model_data.loaded_sd_models[1:]


def test_weights_of_the_same_layout_go_into_the_same_modules(webui, probe, tmp_path):
    import shutil

    from modules import sd_models

    forget_checkpoints(webui)
    source = sd_models.get_closet_checkpoint_match("tiny_sd15.").filename
    twin = sd_models.CheckpointInfo(shutil.copy(source, tmp_path / "twin.safetensors"))
    twin.register()
    try:
        before, layer = webui.unet, next(webui.unet.parameters())
        webui.use("twin")
        assert webui.unet is before
        assert next(webui.unet.parameters()) is layer
        assert len(probe.of("model_loaded")) == 1
        assert webui.txt2img().parameters["Model"] == "twin"
    finally:
        sd_models.list_models()


def test_another_layout_is_another_object_and_the_same_layout_is_not(webui, probe):
    forget_checkpoints(webui)
    before = webui.unet
    webui.use("tiny_sdxl.")
    assert webui.unet is not before
    assert len(probe.of("model_loaded")) == 1
    assert next(before.parameters()).device.type == "meta"
    sdxl = webui.unet
    webui.use("tiny_sdxl.")
    assert webui.unet is sdxl
    assert len(probe.of("model_loaded")) == 1


def test_a_kept_checkpoint_comes_back_without_the_callback(webui, probe):
    webui.use("tiny_sdxl.")
    sdxl = webui.unet
    webui.use("tiny_sd15.")
    probe.reset()
    webui.use("tiny_sdxl.")
    assert webui.unet is sdxl
    assert probe.of("model_loaded") == []


def test_the_refiner_takes_over_inside_sampling(webui):
    with webui.record() as recorder:
        answer = webui.txt2img(steps=6, refiner_checkpoint="tiny_sdxl", refiner_switch_at=0.5)
    assert answer.parameters["Refiner"].startswith("tiny_sdxl")
    assert answer.parameters["Refiner switch at"] == "0.5"
    kinds = [x.keywords for x in recorder.calls]
    assert kinds[0] == ("context",)
    assert kinds[-1] == ("timesteps", "context", "y")
    assert webui.txt2img().parameters["Model"] == "tiny_sd15"


# -- results -------------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_same_seed_same_bytes(webui, checkpoint):
    webui.use(checkpoint + ".")
    first = webui.txt2img(batch_size=2, n_iter=2, sampler_name="Euler a")
    assert first.png == webui.txt2img(batch_size=2, n_iter=2, sampler_name="Euler a").png
    assert len(set(first.pixels)) == 4
    alone = webui.txt2img(seed=2, sampler_name="Euler a")
    difference = np.abs(np.array(alone.images[0], int) - np.array(first.images[1], int))
    assert difference.max() <= 1  # a batch rounds otherwise than a picture alone


def test_the_prompt_and_cfg_matter(webui):
    plain = webui.txt2img().pixels
    assert webui.txt2img(prompt="a dog").pixels != plain
    assert webui.txt2img(cfg_scale=9).pixels != plain


def test_infotext_values_are_quoted_and_come_back(webui, probe):
    value = 'weights: 1, 2; say "yes"\nand more'

    def process(p, *args):
        p.extra_generation_params["Probe text"] = value
        p.extra_generation_params["Probe list"] = ["first", "second"]
        p.extra_generation_params["Probe call"] = lambda p, index, **kw: f"image {index}"
        p.extra_generation_params["Probe none"] = None
        p.extra_generation_params["Probe size"] = "12x34"
        p.extra_generation_params["Probe bad"] = lambda **kw: 1 / 0

    probe.reset(process=process)
    answer = webui.txt2img(batch_size=2)
    first, second = (_parse(x) for x in answer.infotexts)
    assert first["Probe text"] == value
    assert (first["Probe list"], second["Probe list"]) == ("first", "second")
    assert (first["Probe call"], second["Probe call"]) == ("image 0", "image 1")
    assert "Probe none" not in first
    assert "Probe bad" not in first
    assert (first["Probe size-1"], first["Probe size-2"]) == ("12", "34")


def _parse(text):
    from modules import infotext_utils

    return infotext_utils.parse_generation_parameters(text)


def test_png_info_reads_what_was_written(webui, probe):
    answer = webui.txt2img()
    reply = webui.post("/sdapi/v1/png-info", {"image": answer.body["images"][0]}).json()
    assert reply["info"] == answer.infotexts[0]
    assert reply["parameters"]["Seed"] == "1"
    assert probe.of("infotext_pasted")[0]["args"][0] == answer.infotexts[0]


def test_keys_set_at_postprocess_image_reach_the_infotext(webui, probe):
    def postprocess_image(p, pp, *args):
        p.extra_generation_params["Probe late"] = "here"

    probe.reset(postprocess_image=postprocess_image)
    answer = webui.txt2img()
    assert "Probe late: here" in answer.infotexts[0]
    assert answer.info["extra_generation_params"]["Probe late"] == "here"


def test_saved_pictures_carry_the_infotext(webui):
    from pathlib import Path

    answer = webui.txt2img(save_images=True, seed=77)
    folder = Path(webui.shared.opts.outdir_txt2img_samples)
    files = list(folder.glob("*/*-77.png"))
    assert len(files) == 1
    assert Image.open(files[0]).info["parameters"] == answer.infotexts[0]
    assert folder.is_relative_to(webui.shared.data_path)


# -- hires fix, img2img, inpainting --------------------------------------------------------------


@pytest.mark.parametrize("upscaler", ["Latent", "Latent (nearest-exact)", "Lanczos", "None"])
def test_hires_fix(webui, upscaler):
    fields = {
        "enable_hr": True,
        "hr_scale": 1.5,
        "denoising_strength": 0.6,
        "hr_second_pass_steps": 2,
    }
    with webui.record() as recorder:
        answer = webui.txt2img(hr_upscaler=upscaler, **fields)
    assert answer.images[0].size == (96, 96)
    assert [x.x_shape[-1] for x in recorder.calls] == [8] * 3 + [12] * 2
    assert (
        f"Denoising strength: 0.6, Hires upscale: 1.5, Hires steps: 2, Hires upscaler: {upscaler}"
        in answer.infotexts[0]
    )
    assert answer.png == webui.txt2img(hr_upscaler=upscaler, **fields).png


def test_hires_fix_with_its_own_prompt_and_checkpoint(webui):
    answer = webui.txt2img(
        enable_hr=True, denoising_strength=0.6, hr_prompt="a dog", hr_checkpoint_name="tiny_sdxl"
    )
    assert answer.parameters["Hires prompt"] == "a dog"
    assert answer.parameters["Hires checkpoint"].startswith("tiny_sdxl")


def test_unknown_upscaler_is_an_error(webui):
    answer = webui.txt2img(expect=500, enable_hr=True, denoising_strength=0.5, hr_upscaler="Nobody")
    assert "could not find upscaler" in answer.body["errors"]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
def test_img2img(webui, photo, checkpoint, sampler):
    webui.use(checkpoint + ".")
    fields = {"denoising_strength": 0.5, "steps": 6, "sampler_name": sampler}
    with webui.record() as recorder:
        answer = webui.img2img(photo, **fields)
    assert answer.pixels == webui.img2img(photo, **fields).pixels
    assert 2 <= len(recorder.calls) <= 4
    assert {x.kinds for x in recorder.calls} == {"cu"}
    assert answer.body["parameters"]["init_images"] is None


def test_img2img_keeps_its_sampler_for_all_batches(webui, probe, photo):
    webui.img2img(photo, n_iter=2)
    first, second = (x["sampler"] for x in probe.of("process_before_every_sampling"))
    assert first is second


@pytest.mark.parametrize("fill", [0, 1, 2, 3])
@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
def test_inpainting_keeps_what_is_not_masked(webui, probe, photo, mask, fill, sampler):
    answer = webui.img2img(
        photo,
        mask=mask,
        mask_blur=0,
        inpainting_fill=fill,
        inpaint_full_res=False,
        sampler_name=sampler,
    )
    before, after = np.array(photo), np.array(answer.images[0])
    assert np.array_equal(before[:8], after[:8])
    assert not np.array_equal(before[24:40, 24:40], after[24:40, 24:40])
    blends = probe.of("on_mask_blend")
    assert len(blends) == len(probe.of("cfg_denoiser")) + 1
    assert [x["first"] for x in blends] == [["MaskBlendArgs"]] * len(blends)


def test_only_masked_works_on_the_region(webui, photo, mask):
    with webui.record() as recorder:
        answer = webui.img2img(
            photo,
            mask=mask,
            mask_blur=0,
            inpaint_full_res=True,
            inpaint_full_res_padding=4,
            width=96,
            height=96,
        )
    assert answer.images[0].size == photo.size
    assert {x.x_shape[-1] for x in recorder.calls} == {12}
    assert "Inpaint area: Only masked, Masked area padding: 4" in answer.infotexts[0]
    assert np.array_equal(np.array(photo)[:8], np.array(answer.images[0])[:8])


def test_an_empty_mask_falls_back_to_img2img_and_says_so(webui, photo):
    from modules import sd_hijack

    webui.img2img(photo, mask=Image.new("L", (64, 64)), mask_blur=0, inpaint_full_res=True)
    assert any("mask is blank" in x for x in sd_hijack.model_hijack.comments)


def test_nine_channels(webui, photo, mask):
    webui.use("tiny_sd15_inpaint")
    with webui.record() as recorder:
        answer = webui.img2img(photo, mask=mask, inpaint_full_res=False)
        webui.txt2img(batch_size=2)
    assert {x.x_shape[1] for x in recorder.calls} == {9}
    assert answer.parameters["Conditional mask weight"] == "1.0"


def test_batch_folder_uses_one_p(webui, probe, photo, tmp_path):
    for i in range(3):
        photo.rotate(90 * i).save(tmp_path / f"{i}.png")
    press(
        webui,
        "img2img_generate",
        _0="task(1)",
        _1=5,
        img2img_batch_input_dir=str(tmp_path),
        _35="from dir",
        img2img_batch_output_dir=str(tmp_path / "out"),
        img2img_steps=2,
        img2img_width=64,
        img2img_height=64,
    )
    assert probe.names().count("setup") == 1
    assert probe.names().count("process") == 3
    assert len({id(x["p"]) for x in probe.of("process")}) == 1
    assert sorted(x.stem for x in (tmp_path / "out").iterdir()) == [
        "00000-0",
        "00001-1",
        "00002-2",
    ]


def test_something_may_replace_the_sampling(webui, probe, photo):
    """The built-in "img2img alternative test" swaps `p.sample`."""
    with webui.record() as recorder:
        webui.img2img(
            photo, script_name="img2img alternative test", script_args=["a cat", "", 3, 1.0]
        )
    assert "process" in probe.names()
    assert "process_before_every_sampling" not in probe.names()
    assert len(recorder.calls) > len(recorder.denoiser) > 0


# -- interrupting --------------------------------------------------------------------------------


def test_interrupt_ends_after_the_step_and_still_gives_a_picture(webui, probe):
    def stop(params):
        if params.sampling_step == 2:
            webui.post("/sdapi/v1/interrupt")

    answer = _with_denoised(webui, stop, steps=8, n_iter=3)
    assert len(answer.images) == 1
    assert len(probe.of("cfg_denoiser")) == 4
    assert "postprocess" in probe.names()


def test_skip_goes_on_with_the_next_batch(webui, probe):
    def skip(params):
        if len(probe.of("cfg_denoiser")) == 3:
            webui.shared.state.skip()

    answer = _with_denoised(webui, skip, steps=8, n_iter=2)
    assert len(answer.images) == 2
    assert len(probe.of("cfg_denoiser")) == 3 + 8


def _with_denoised(webui, callback, **fields):
    from modules import script_callbacks

    script_callbacks.on_cfg_denoised(callback)
    try:
        return webui.txt2img(**fields)
    finally:
        script_callbacks.remove_callbacks_for_function(callback)


# -- attention and other UNets -------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_attention_is_switched_for_all_layers_at_once(webui, checkpoint):
    """Every optimisation gives the same picture and calls `to_q` and `to_out[0]` once."""
    from modules import sd_hijack

    webui.use(checkpoint + ".")
    layers = [m.attn2 for m in webui.unet.modules() if hasattr(m, "attn2")]
    pictures, forwards, containers = [], set(), {}
    for name in ["None", *(x.title() for x in sd_hijack.optimizers), "Automatic"]:
        webui.set(cross_attention_optimization=name)
        forwards.add(type(layers[0]).forward)
        parts = {
            "to_q": [x.to_q for x in layers],
            "to_out[0]": [x.to_out[0] for x in layers],
            "to_out": [x.to_out for x in layers],
        }
        with counted(parts) as calls:
            pictures.append(np.array(webui.txt2img().images[0], int))
        assert calls["to_q"] == calls["to_out[0]"] == 3 * len(layers)
        containers[name] = calls["to_out"] > 0
    assert len(forwards) >= 6
    assert np.max([np.abs(x - pictures[0]).max() for x in pictures]) <= 2
    assert containers["Automatic"]
    assert not containers["sdp - scaled dot product"]


@contextmanager
def counted(parts):
    """How often each group of modules was called."""
    calls = dict.fromkeys(parts, 0)

    def count(name):
        def hook(*_):
            calls[name] += 1

        return hook

    handles = [
        module.register_forward_pre_hook(count(name))
        for name, modules in parts.items()
        for module in modules
    ]
    yield calls
    for handle in handles:
        handle.remove()


def test_a_swapped_unet_leaves_the_modules_silent(webui):
    from modules import script_callbacks, sd_unet

    class Unet(sd_unet.SdUnet):
        def forward(self, x, timesteps, context, *args, **kwargs):
            return x * 0.5

    class Option(sd_unet.SdUnetOption):
        label = "other"

        def create_unet(self):
            return Unet()

    def add(options):
        options.append(Option())

    script_callbacks.on_list_unets(add)
    sd_unet.list_unets()
    webui.shared.opts.data["sd_unet"] = "other"
    calls = []
    layer = next(m.attn2 for m in webui.unet.modules() if hasattr(m, "attn2"))
    handle = layer.register_forward_pre_hook(lambda *_: calls.append(1))
    webui.txt2img()
    assert calls == []
    script_callbacks.remove_callbacks_for_function(add)
    webui.shared.opts.data["sd_unet"] = "Automatic"
    sd_unet.list_unets()
    webui.txt2img()
    assert len(calls) == 3
    handle.remove()


# -- extra networks ------------------------------------------------------------------------------


def test_extra_networks(webui):
    from modules import extra_networks

    seen = []

    class Network(extra_networks.ExtraNetwork):
        def activate(self, p, params_list):
            seen.append([x.positional for x in params_list])
            if params_list and params_list[0].positional == ["bad"]:
                raise ValueError("no such thing")

        def deactivate(self, p):
            seen.append("deactivated")

    extra_networks.register_extra_network(Network("probe"))
    try:
        plain = webui.txt2img(prompt="a cat")
        tagged = webui.txt2img(prompt="a cat<probe:style:0.5>")
        assert tagged.pixels == plain.pixels
        assert tagged.infotexts[0].startswith("a cat<probe:style:0.5>")
        assert seen == [[], [["style", "0.5"]], "deactivated"]
        assert webui.txt2img(prompt="a cat<probe:bad>").pixels == plain.pixels
        assert any("activating extra network" in x for x in webui.reports)
        seen.clear()
        webui.txt2img(
            prompt="a cat<probe:x>", enable_hr=True, denoising_strength=0.5, hr_prompt="a dog"
        )
        assert seen == [[["x"]], [], "deactivated"]
        seen.clear()
        webui.txt2img(disable_extra_networks=True, prompt="a cat<probe:x>")
        assert seen == []
    finally:
        extra_networks.extra_network_registry.pop("probe")


# -- X/Y/Z plot ----------------------------------------------------------------------------------

XYZ = "X/Y/Z plot"


def xyz_args(webui, x=("Nothing", ""), y=("Nothing", ""), z=("Nothing", "")):
    labels = [o.label for o in webui.script(XYZ).current_axis_options]
    axes = [v for name, values in (x, y, z) for v in (labels.index(name), values, [])]
    return [*axes, False, True, True, False, False, False, False, 0, True]


def test_xyz_makes_a_picture_for_each_cell(webui, probe):
    answer = webui.txt2img(
        script_name=XYZ, script_args=xyz_args(webui, ("Seed", "1, 2"), ("CFG Scale", "3-7 [2]"))
    )
    assert len(answer.images) == 2 + 4
    assert answer.images[0].size == (128, 128)
    assert "Script: X/Y/Z plot, X Type: Seed, X Values:" in answer.infotexts[0]
    alone = webui.txt2img(seed=2, cfg_scale=7)
    assert alone.pixels[0] in answer.pixels
    assert probe.names().count("setup") == 2  # one for the plot, one for the single picture


def test_xyz_cells_share_the_dictionary_of_parameters(webui, probe):
    def process(p, *args):
        p.extra_generation_params.setdefault(f"Probe seed {p.seed}", "was here")

    probe.reset(process=process)
    answer = webui.txt2img(script_name=XYZ, script_args=xyz_args(webui, ("Seed", "1, 2")))
    assert "Probe seed 1" in answer.infotexts[-1]
    assert "Probe seed 2" in answer.infotexts[-1]


def test_xyz_swallows_an_error_in_a_cell(webui, probe):
    def process(p, *args):
        if p.seed == 2:
            p.init = lambda *a: 1 / 0

    probe.reset(process=process)
    answer = webui.txt2img(script_name=XYZ, script_args=xyz_args(webui, ("Seed", "1, 2, 3")))
    assert any("generating image for xyz plot: ZeroDivisionError" in x for x in webui.reports)
    blank = answer.images[3].convert("RGB").getextrema()
    assert blank == ((0, 0),) * 3


def test_xyz_confirm_stops_everything(webui, probe):
    answer = webui.txt2img(
        expect=500, script_name=XYZ, script_args=xyz_args(webui, ("Sampler", "Euler, Nobody"))
    )
    assert answer.body["errors"] == "Unknown sampler: Nobody"
    assert "process" not in probe.names()


def test_xyz_puts_the_slow_axis_outermost(webui, probe):
    y = ("Checkpoint name", "tiny_sd15.safetensors, tiny_sdxl.safetensors")
    webui.txt2img(script_name=XYZ, script_args=xyz_args(webui, ("Seed", "1, 2"), y))
    done = [(x["p"].seed, x["p"].sd_model_name) for x in probe.of("postprocess")]
    assert done == [(1, "tiny_sd15"), (2, "tiny_sd15"), (1, "tiny_sdxl"), (2, "tiny_sdxl")]


def test_xyz_axis_of_an_extension(webui, probe):
    """Only exact AxisOption shows in both tabs; the module is found by its odd name."""
    from modules import scripts

    module = next(
        x.module
        for x in scripts.scripts_data
        if x.script_class.__module__ in ("xyz_grid.py", "scripts.xyz_grid")
    )
    seen = []

    def apply(p, x, xs):
        p.probe_value = x

    probe.reset(process=lambda p, *args: seen.append(p.probe_value))
    options = module.axis_options
    options.append(module.AxisOption("[Probe] value", float, apply, cost=0.1))
    script = webui.script(XYZ)
    kept = script.current_axis_options
    script.current_axis_options = [*kept, options[-1]]
    try:
        webui.txt2img(
            script_name=XYZ, script_args=xyz_args(webui, ("[Probe] value", "0.5-1.5 (+0.5)"))
        )
    finally:
        options.pop()
        script.current_axis_options = kept
    assert seen == [0.5, 1.0, 1.5]


# -- the page ------------------------------------------------------------------------------------


def press(webui, elem_id, **values):
    return webui.press(elem_id, **values)


def press_generate(webui, **values):
    fields = {
        "txt2img_prompt": "a cat",
        "txt2img_steps": 3,
        "txt2img_width": 64,
        "txt2img_height": 64,
    }
    seed = {"txt2img_seed": 1, "txt2img_sampling": "Euler", "txt2img_neg_prompt": ""}
    return press(webui, "txt2img_generate", _0="task(1)", **{**fields, **seed, **values})


def test_generate_on_the_page(webui, probe):
    gallery, info, html, log = press_generate(webui)
    assert len(gallery) == 1
    assert "error" not in log
    text = json.loads(info)["infotexts"][0]
    assert text == webui.txt2img(scheduler="Automatic").infotexts[0]
    assert "a cat" in html
    assert probe.of("process")[0]["args"] == (False, "default")
    assert probe.of("process")[0]["p"].is_api is False


def test_upscale_button_skips_the_first_pass(webui, probe):
    gallery, info, *_ = press_generate(webui)
    shown = [x if isinstance(x, dict) else x[0] for x in gallery]
    probe.reset()
    after, *_ = press(
        webui,
        "txt2img_upscale",
        _0="task(2)",
        _2=0,
        txt2img_gallery=shown,
        generation_info_txt2img=info,
        txt2img_prompt="a cat",
        txt2img_neg_prompt="",
        txt2img_steps=3,
        txt2img_width=64,
        txt2img_height=64,
        txt2img_sampling="Euler",
    )
    sampling = probe.of("process_before_every_sampling")
    assert [x["is_hr_pass"] for x in sampling] == [True]
    assert len(after) == 1


def test_elem_ids_of_the_page(webui):
    ids = {getattr(x, "elem_id", None) for x in webui.demo.blocks.values()}
    for tab in ("txt2img", "img2img"):
        for name in (
            "prompt",
            "neg_prompt",
            "generate",
            "interrupt",
            "skip",
            "steps",
            "sampling",
            "width",
            "height",
            "cfg_scale",
            "seed",
            "batch_count",
            "batch_size",
            "gallery",
            "send_to_img2img",
            "styles",
            "settings",
            "results",
            "tools",
        ):
            if (tab, name) != ("img2img", "nothing"):
                assert f"{tab}_{name}" in ids, f"{tab}_{name}"
        assert {
            f"html_info_{tab}",
            f"html_log_{tab}",
            f"generation_info_{tab}",
            f"image_buttons_{tab}",
        } <= ids
        assert {f"script_{tab}_probe_enable", f"script_{tab}_probe_enable-checkbox"} <= ids
        assert f"script_{tab}_probe_accordions_2_enable" in ids
    wanted = {
        "paste",
        "tabs",
        "txt2img_hr",
        "txt2img_hr-checkbox",
        "img2img_image",
        "img_inpaint_base",
        "img_inpaint_mask",
        "img2img_denoising_strength",
        "img2img_inpaint_full_res",
        "script_list",
        "settings_json",
        "setting_sd_model_checkpoint",
        "setting_probe_option",
        "pnginfo_image",
        "mode_img2img",
        "img2maskimg",
        "txt2img_upscale",
        "settings_restart_gradio",
    }
    assert wanted <= ids


def _parents(block):
    while block is not None:
        yield getattr(block, "elem_id", None)
        block = block.parent


def test_sections(webui):
    by_id = {getattr(x, "elem_id", None): x for x in webui.demo.blocks.values()}
    inside = by_id["script_txt2img_probe_accordions_2_enable"]
    assert "txt2img_accordions" in list(_parents(inside))
    below = by_id["script_txt2img_probe_enable"]
    assert "txt2img_script_container" in list(_parents(below))
    assert type(webui.script("Probe").group).__name__ == "Group"
    assert webui.script("Probe (Accordions) 2").group is None


def test_tooltip_reaches_the_page(webui):
    config = webui.demo.get_config_file()
    tips = {
        x["props"].get("elem_id"): x["props"].get("webui_tooltip") for x in config["components"]
    }
    assert tips["script_txt2img_probe_note"] == "a note"


def test_scripts_and_styles_are_in_the_page(webui):
    page = webui.get("/").text
    for name in ("script.js", "ui.js", "inputAccordion.js", "probe.js", "probe/style.css"):
        assert name in page, name
    assert page.index("script.js") < page.index("probe.js")


def test_paste_restores_fields_and_switches_off_what_is_not_mentioned(webui):
    text = (
        "a dog\nNegative prompt: fog\nSteps: 7, Sampler: Heun, CFG scale: 4, Seed: 5, Size: 72x80, "
        "Probe note: pasted, Denoising strength: 0.4, Hires upscale: 1.5"
    )
    fields = webui_fields(webui, text)
    assert fields["txt2img_prompt"] == "a dog"
    assert fields["txt2img_steps"] == 7
    assert fields["txt2img_sampling"] == "Heun"
    assert fields["txt2img_width"] == 72
    assert fields["txt2img_hr-checkbox"] is True
    assert fields["script_txt2img_probe_enable-checkbox"] is True
    assert fields["script_txt2img_probe_note"] == "pasted"
    fields = webui_fields(
        webui, "a dog\nSteps: 7, Sampler: Heun, CFG scale: 4, Seed: 5, Size: 72x80"
    )
    assert fields["script_txt2img_probe_enable-checkbox"] is False
    assert fields["txt2img_hr-checkbox"] is False
    assert fields["script_txt2img_probe_note"] is None  # no key, no change


def webui_fields(webui, infotext):
    """elem_id -> new value, after the paste button of the txt2img tab."""
    answer = press(webui, "paste", txt2img_prompt=infotext)
    outputs = webui.dependency("paste")[1]["outputs"]
    ids = [getattr(webui.demo.blocks[x], "elem_id", None) for x in outputs]
    return {i: (v.get("value") if isinstance(v, dict) else v) for i, v in zip(ids, answer)}


def test_saved_defaults_reach_the_page_and_not_the_api(session, probe):
    from pathlib import Path

    file = Path(session.shared.cmd_opts.ui_config_file)
    saved = json.loads(file.read_text())
    key = "customscript/probe.py/txt2img/Note/value"
    assert saved[key] == "default"
    file.write_text(json.dumps({**saved, key: "mine"}))
    try:
        session.reload_ui()
        probe.reset()
        press_generate(session)
        session.txt2img()
    finally:
        file.write_text(json.dumps(saved))
        session.reload_ui()
    assert [x["args"] for x in probe.of("process")] == [(False, "mine"), (False, "default")]


# -- loading -------------------------------------------------------------------------------------


def test_how_the_extension_was_loaded(webui, probe):
    import sys

    assert webui.shared.cmd_opts.probe_flag == "unset"
    assert "probe.py" not in sys.modules
    script = webui.script("Probe")
    assert type(script).__module__ == "probe.py"
    assert str(harness.PROBE) not in sys.path
    assert script.name == "probe"
    assert webui.get("/probe/state").json()["version"] == 1


def test_reload_ui(session, probe):
    import lib_probe as before

    old = session.script("Probe")
    probe.reset()
    session.reload_ui()
    assert session.script("Probe") is not old
    import lib_probe as after

    assert before is after
    order = [
        x
        for x in probe.names()
        if x in ("before_reload", "script_unloaded", "before_ui", "app_started")
    ]
    assert order == ["before_reload", "script_unloaded", "before_ui", "app_started"]
    assert session.txt2img().images
    assert probe.names().count("process") == 1


def test_restricted_torch_load_returns_none(webui, tmp_path):
    import pickle

    import torch

    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(Evil()))
    assert torch.load(str(path)) is None
