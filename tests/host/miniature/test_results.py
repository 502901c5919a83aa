"""Pictures, infotext and files that come of a generation; interrupting one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.host.miniature.cases import CHECKPOINTS


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
