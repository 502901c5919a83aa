"""Which rows the UNet sees in Forge, and what is told with them; recorded from the real one."""

from __future__ import annotations

import pytest

from tests.host.miniature.cases import CHECKPOINTS, LONG
from tests.miniature.recorder import unet_of

BOTH = ["u0 u1 c0 c1"]
PROMPT = ["c0 c1"]
ROWS = {
    "cfg 7": ({}, [BOTH] * 3),
    "cfg 1 leaves the negative prompt out": ({"cfg_scale": 1}, [PROMPT] * 3),
    "heun": ({"sampler_name": "Heun"}, [BOTH] * 5),
    "ddim": ({"sampler_name": "DDIM"}, [BOTH] * 3),
    "long prompt": ({"prompt": "a cat, " * 40}, [BOTH] * 3),
    "AND": ({"prompt": "a cat AND a dog :0.5"}, [["u0 u1 c1 c3 c0 c2"]] * 3),
    "texts of very different lengths": (
        {"prompt": LONG + LONG},
        [["c0 c1", "u0 u1"]] * 3,
    ),
}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("case", ROWS)
def test_rows(webui, checkpoint, case):
    fields, expected = ROWS[case]
    webui.use(checkpoint + ".")
    with webui.record() as recorder:
        webui.txt2img(**{"negative_prompt": "blurry", "batch_size": 2, **fields})
    assert recorder.steps() == expected


def test_a_shorter_text_is_repeated(webui):
    with webui.record() as recorder:
        webui.txt2img(prompt="a cat, " * 40, negative_prompt="blurry")
    assert {call.tokens for call in recorder.calls} == {154}


@pytest.mark.parametrize(("fields", "second"), [({}, ["c0 c1"]), ({"hr_cfg": 7}, ["u0 u1 c0 c1"])])
def test_the_second_pass_has_a_scale_of_its_own(webui, fields, second):
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7,
             "hr_second_pass_steps": 2, "hr_additional_modules": ["Use same choices"]}  # fmt: skip
    with webui.record() as recorder:
        webui.txt2img(batch_size=2, negative_prompt="blurry", **hires, **fields)
    assert recorder.steps() == [BOTH] * 3 + [second] * 2


def test_without_memory_for_all_rows_they_come_in_several_calls(webui, monkeypatch):
    from backend import memory_management

    monkeypatch.setattr(memory_management, "get_free_memory", lambda *a: 1)
    with webui.record() as recorder:
        webui.txt2img(batch_size=2, negative_prompt="blurry")
    assert recorder.steps() == [["u0 u1", "c0 c1"]] * 3


def test_what_is_told_with_a_call(webui):
    seen = []
    unet = unet_of(webui.sd_model)
    handle = unet.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append((len(args), kwargs)), with_kwargs=True
    )
    webui.txt2img(batch_size=2, negative_prompt="blurry")
    handle.remove()
    positional, keywords = seen[0]
    assert positional == 2
    assert set(keywords) == {"context", "y", "control", "transformer_options"}
    options = keywords["transformer_options"]
    assert options["cond_or_uncond"] == [1, 0]
    assert options["sigmas"].shape == (2,)
