"""The page: generating, ids, sections, paste, saved defaults."""

from __future__ import annotations

import json

from tests.host.miniature.pressing import press_generate


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
    after, *_ = webui.press(
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
    answer = webui.press("paste", txt2img_prompt=infotext)
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
