"""Damped tokens in a WebUI: steps and not calls, in every kind of generation."""

from __future__ import annotations

import pytest

from tests.host.generations import UNIT, picture, style

ON = {**UNIT, "purify": 1, "purify_scale": "relative"}
STEPS = 4
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}


@pytest.fixture
def asked(webui, monkeypatch):
    """At which part of the pass each UNet call asked for the damped tokens."""
    from lib_instantstyle.unet.purify import DampedBanks

    found, at = [], DampedBanks.at

    def noted(self, t):
        found.append(t)
        return at(self, t)

    monkeypatch.setattr(DampedBanks, "at", noted)
    return found


def in_steps(count, steps=STEPS):
    """`count` calls in each of the steps."""
    return [pytest.approx((step + 1) / steps) for step in range(steps) for _ in range(count)]


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M", "DDIM"])
def test_a_sampler_of_first_order_asks_once_in_each_step(webui, asked, sampler):
    webui.txt2img(steps=STEPS, sampler_name=sampler, **style(ON))
    assert len(asked) >= STEPS - 1  # the last timestep of DDIM falls away
    assert asked == in_steps(1)[: len(asked)]


def dpmpp_sde(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """DPM++ SDE's evaluations, without its noise: a second one in the middle of a step."""
    ones = x.new_ones([len(x)])
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * ones, **extra_args)
        callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        if sigmas[i + 1] > 0:
            denoised = model(x, (sigmas[i] * sigmas[i + 1]).sqrt() * ones, **extra_args)
        x = denoised + (x - denoised) / sigmas[i] * sigmas[i + 1]
    return x


@pytest.mark.parametrize("own", [None, dpmpp_sde], ids=["Heun", "DPM++ SDE"])
@pytest.mark.parametrize("sampler", ["Heun", "Euler"])
def test_both_evaluations_of_a_step_are_in_that_step(webui, asked, monkeypatch, sampler, own):
    """Whether the WebUI knows that there are two, as under the name Heun, or not."""
    from modules import sampling

    function = own or sampling.sample_heun
    monkeypatch.setattr(sampling, f"sample_{sampler.lower()}", function)
    webui.txt2img(steps=STEPS, sampler_name=sampler, **style(ON))
    assert asked == in_steps(2)[:-1]  # the last step has one


def test_calls_apart_and_batches_are_timed_alike(webui, asked):
    webui.shared.opts.data["batch_cond_uncond"] = False
    webui.txt2img(steps=STEPS, batch_size=2, n_iter=2, **style(ON))
    assert asked == 2 * in_steps(2)


def test_each_pass_of_hires_fix_begins_anew(webui, asked):
    webui.txt2img(steps=STEPS, hr_second_pass_steps=8, **HIRES, **style(ON))
    first, second = asked[:STEPS], asked[STEPS:]
    assert first == in_steps(1)
    assert second == in_steps(1, len(second)) and len(second) != STEPS


def test_an_interrupt_leaves_no_time_behind(webui, asked, monkeypatch):
    from tests.miniature.networks import UNetModel

    forward = UNetModel.forward
    whole = webui.txt2img(steps=STEPS, **style(ON)).pixels

    def interrupt(self, *args, **kwargs):
        webui.shared.state.interrupt()
        return forward(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(UNetModel, "forward", interrupt)
        webui.txt2img(steps=STEPS, **style(ON))
    asked.clear()
    assert webui.txt2img(steps=STEPS, **style(ON)).pixels == whole
    assert asked == in_steps(1)


def test_it_changes_the_picture_and_off_changes_nothing(webui):
    plain, off, on = (
        webui.txt2img(steps=STEPS, **style(unit)).pixels for unit in (UNIT, {**ON, "purify": 0}, ON)
    )
    assert plain == off != on
    assert webui.txt2img(steps=STEPS, **style(UNIT)).pixels == plain


def test_late_steps_alone_give_the_picture_without_it(webui):
    late = {"start": 0.87}
    found, plain = (webui.txt2img(steps=8, **style({**unit, **late})).pixels for unit in (ON, UNIT))
    assert found == plain


def test_where_all_values_stay_the_picture_is_the_same_and_a_note_says_so(webui):
    answer = webui.txt2img(steps=STEPS, **style({**ON, "purify_keep": 4}))
    assert answer.pixels == webui.txt2img(steps=STEPS, **style(UNIT)).pixels
    sentence = (
        "purify changes nothing, because the reference has 4 image tokens and purify_keep (4) lets "
        "as many singular values stay."
    )
    assert sentence in answer.infotexts[-1]
    two = {**ON, "purify_keep": 4, "image": [UNIT["image"], picture("deep_field.jpg")]}
    answer = webui.txt2img(steps=STEPS, **style(two))
    assert "purify changes" not in answer.infotexts[-1]


def test_each_picture_of_a_batch_has_its_own_reference_damped(webui):
    """The second reference alone is the second picture's, whatever the first one is."""
    names = ("coffee.jpg", "deep_field.jpg"), ("deep_field.jpg", "deep_field.jpg")
    one, other = (
        webui.txt2img(
            steps=STEPS,
            batch_size=2,
            **style({**ON, "combine": "each", "image": [picture(name) for name in pair]}),
        )
        for pair in names
    )
    assert one.images[-1].tobytes() == other.images[-1].tobytes()
    assert one.images[-2].tobytes() != other.images[-2].tobytes()


@pytest.mark.parametrize("adapter", ["ip-adapter_sd15", "ip-adapter-plus_sd15"])
def test_a_plan_says_until_when(webui, adapter):
    unit = {**ON, "adapter": adapter}
    request = {"units": [unit], "steps": 30, "enable_hr": True, "hr_second_pass_steps": 8}
    plan = webui.post("/instantstyle/plan", request).json()
    line = (
        "the tail of the tokens' singular values, from number 2 on, is damped until step 15 of 30 "
        "and until step 4 of 8, of hires fix"
    )
    assert plan["units"][0]["purified"] == line and plan["problems"] == []
    assert f"  purified: {line}" in plan["text"].splitlines()
    plan = webui.post("/instantstyle/plan", {"units": [UNIT], "steps": 30}).json()
    assert plan["units"][0]["purified"] == "" and "purified" not in plan["text"]


def test_a_report_lists_the_singular_values(webui):
    plain = webui.txt2img(**style({**UNIT, "report": True})).infotexts[-1]
    unpurified = webui.post("/instantstyle/report", {}).json()["singular_values"]
    assert "singular values" not in plain
    answer = webui.txt2img(**style({**ON, "report": True}))
    report = webui.post("/instantstyle/report", {}).json()
    assert [{**each, "purified": True} for each in unpurified] == report["singular_values"]
    assert not any(each["purified"] for each in unpurified)
    blocks = {each["block"] for each in report["blocks"]}
    assert [each["block"] for each in report["singular_values"]] == sorted(blocks)
    for each in report["singular_values"]:
        for values in (each["key"], each["value"]):
            assert len(values) == 4 and values == sorted(values, reverse=True) and values[-1] > 0
    first = report["singular_values"][0]
    key, value = (" ".join(f"{s:.3g}" for s in first[part]) for part in ("key", "value"))
    assert (
        f'InstantStyle 1 singular values: "{first["block"]} K {key} V {value}, '
        in (answer.infotexts[-1])
    )
    webui.txt2img(**style(ON))
    assert webui.post("/instantstyle/report", {}).json() == report
