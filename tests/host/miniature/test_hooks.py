"""Hooks of scripts: their order, their arguments, what becomes of their errors."""

from __future__ import annotations

import pytest

from tests.host.miniature.pressing import press_generate

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
