"""What scripts meet in Forge and nowhere else: hooks, checkpoints, threads, answers."""

from __future__ import annotations

import pytest
import torch

HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7,
         "hr_additional_modules": ["Use same choices"]}  # fmt: skip


def test_the_second_pass_is_announced_twice_and_the_first_time_is_forgotten(webui, probe):
    seen = []
    probe.reset(
        process_before_every_sampling=lambda p, *a, **k: seen.append(
            (p.is_hr_pass, p.sampler, p.sd_model.forge_objects)
        )
    )
    webui.txt2img(**HIRES)
    assert [hires for hires, _, _ in seen] == [False, True, True]
    assert seen[1][1] is seen[2][1] and seen[0][1] is not seen[1][1]  # samplers
    assert seen[1][2] is not seen[2][2]


def test_with_cfg_1_hooks_get_no_negative_conditioning(webui, probe):
    webui.txt2img(cfg_scale=1)
    assert probe.of("process_before_every_sampling")[0]["kwargs"]["uc"] is None


def test_sampling_runs_in_inference_mode_and_process_does_not(webui, probe):
    modes = []
    probe.reset(process=lambda p, *a: modes.append(torch.is_inference_mode_enabled()))
    handle = webui.unet.register_forward_pre_hook(
        lambda *_: modes.append(torch.is_inference_mode_enabled())
    )
    webui.txt2img(steps=1)
    handle.remove()
    assert modes == [False, True]


def test_a_checkpoint_is_loaded_when_the_generation_begins(webui, probe):
    """Chosen, it is not loaded; `before_process` still meets the previous one."""
    names = []
    before = webui.sd_model

    def process(p, *args):
        names.append(p.sd_model.sd_checkpoint_info.name_for_extra)

    probe.reset(process=process)
    webui.set(sd_model_checkpoint="tiny_sd15.safetensors")
    assert webui.sd_model is before
    webui.txt2img()
    assert names == ["tiny_sd15"] and webui.sd_model is not before


def test_override_settings_hold_for_one_request(webui):
    override = {"sd_model_checkpoint": "tiny_sd15.safetensors"}
    answer = webui.txt2img(override_settings=override)
    assert "Model: tiny_sd15" in answer.infotexts[0]
    assert "Model: tiny_sdxl" in webui.txt2img().infotexts[0]


def test_before_the_first_generation_there_is_no_checkpoint():
    from modules.sd_models import FakeInitialModel, SdModelData

    fresh = SdModelData()
    assert isinstance(fresh.get_sd_model(), FakeInitialModel)
    assert not hasattr(fresh.get_sd_model(), "forge_objects")


@pytest.mark.parametrize(("name", "sdxl"), [("tiny_sdxl.", True), ("tiny_sd15.", False)])
def test_what_a_loaded_checkpoint_is(webui, name, sdxl):
    webui.use(name)
    model = webui.sd_model
    assert not hasattr(model, "model") and not hasattr(model, "conditioner")
    assert model.cond_stage_model is None
    assert hasattr(model, "text_processing_engine_g") == sdxl
    assert hasattr(model, "text_processing_engine") == (not sdxl)
    assert model.forge_objects.unet.model.diffusion_model is webui.unet


def test_an_error_reaches_api_and_page(webui, probe):
    probe.reset(replace_at="process", replace=["init"], error="ProbeError")
    assert webui.txt2img(expect=422).body == {"detail": "probe <says> no"}
    gallery, _, _, log = webui.press(
        "txt2img_generate", _0="task(1)", txt2img_prompt="a cat", txt2img_neg_prompt="",
        txt2img_steps=1, txt2img_width=64, txt2img_height=64, txt2img_seed=1,
        txt2img_sampling="Euler",
    )  # fmt: skip
    assert gallery in (None, [])
    assert "<div class='error'>ProbeError: probe &lt;says&gt; no</div>" in log


def test_another_exception_is_answered_500(webui, probe):
    probe.reset(replace_at="process", replace=["init"], error="ValueError")
    body = webui.txt2img(expect=500).body
    assert (body["error"], body["message"]) == ("ValueError", "probe <says> no")


def test_the_page_works_in_the_main_thread(webui, probe):
    import threading

    seen = []
    probe.reset(process=lambda p, *a: seen.append(threading.current_thread().name))
    webui.press(
        "txt2img_generate", _0="task(2)", txt2img_prompt="a cat", txt2img_neg_prompt="",
        txt2img_steps=1, txt2img_width=64, txt2img_height=64, txt2img_seed=1,
        txt2img_sampling="Euler",
    )  # fmt: skip
    webui.txt2img(steps=1)
    assert seen[0] == threading.main_thread().name != seen[1]
