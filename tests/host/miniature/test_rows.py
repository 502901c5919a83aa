"""Rows of the UNet calls, and what the denoiser's callbacks receive."""

from __future__ import annotations

import pytest

from tests.host.miniature.cases import CHECKPOINTS, LONG, ROWS


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
