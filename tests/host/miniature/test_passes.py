"""Hires fix, img2img and inpainting."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.host.miniature.cases import CHECKPOINTS


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
    webui.press(
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
