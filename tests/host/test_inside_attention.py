"""Guidance inside the attention and fusion, in every kind of generation of a WebUI."""

from __future__ import annotations

import pytest

from tests.host.generations import UNIT, difference, picture, style

STEPS = 2
AWAY = {**UNIT, "negative_image": picture("deep_field.jpg")}
GUIDED = {**AWAY, "attention_guidance": 3}
FUSED = {**UNIT, "fusion": "adain"}
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}
KINDS = {
    "alone": {},
    "cfg 1": {"cfg_scale": 1},
    "three": {"batch_size": 3},
    "batches": {"batch_size": 2, "n_iter": 2},
    "AND": {"prompt": "a cat AND a dog :0.5"},
    "long prompt": {"prompt": "a cat, " * 40},
    "hires": HIRES,
    "second order": {"sampler_name": "Heun"},
}
NOTE = "at CFG scale 1 there is no negative prompt"


def made(webui, unit, **given):
    return webui.txt2img(steps=STEPS, **given, **style(unit))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", [GUIDED, FUSED], ids=["guided", "fused"])
def test_every_picture_changes_and_off_is_as_before(webui, kind, unit):
    more = KINDS[kind]
    plain = made(webui, AWAY if unit is GUIDED else UNIT, **more).pixels
    changed = made(webui, unit, **more).pixels
    assert len(changed) == len(plain)
    assert all(a != b for a, b in zip(changed, plain))
    off = {"attention_guidance": 0, "fusion": "add"}
    assert made(webui, {**unit, **off}, **more).pixels == plain


@pytest.mark.parametrize("unit", [GUIDED, FUSED], ids=["guided", "fused"])
def test_rows_called_apart_give_the_same_picture(webui, unit):
    together = made(webui, unit, batch_size=2).images
    webui.shared.opts.data["batch_cond_uncond"] = False
    apart = made(webui, unit, batch_size=2).images
    assert all(difference(*pair) <= 2 for pair in zip(together, apart, strict=True))


def test_at_cfg_1_a_negative_picture_changes_the_picture(webui):
    without = made(webui, UNIT, cfg_scale=1)
    ignored = made(webui, AWAY, cfg_scale=1)
    # Guidance at scale 1 is u + (c - u), which rounding keeps from being c.
    assert difference(ignored.images[0], without.images[0]) <= 1
    assert NOTE in ignored.infotexts[-1]
    guided = made(webui, GUIDED, cfg_scale=1)
    assert guided.pixels != without.pixels and NOTE not in guided.infotexts[-1]
    zero = made(webui, {**UNIT, "attention_guidance": 3}, cfg_scale=1)
    assert len({guided.pixels[0], without.pixels[0], zero.pixels[0]}) == 3


def test_precise_presets_act_at_cfg_1(webui):
    unit = {**UNIT, "preset": "style precise"}
    boosts = (0.5, 2)
    plain = [made(webui, {**unit, "boost": boost}, cfg_scale=1) for boost in boosts]
    assert NOTE in plain[0].infotexts[-1] and plain[0].pixels == plain[1].pixels
    unit["attention_guidance"] = 3
    guided = [made(webui, {**unit, "boost": boost}, cfg_scale=1) for boost in boosts]
    assert NOTE not in guided[0].infotexts[-1] and guided[0].pixels != guided[1].pixels


def test_away_from_what_is_removed(sdxl):
    webui = sdxl
    unit = {**UNIT, "attention_guidance": 3, "guidance_from": "removed content"}
    answer = webui.txt2img(expect=422, steps=STEPS, **style(unit))
    assert "guidance_from is removed content, but nothing is removed" in answer.body["detail"]
    named = {**unit, "content": "a galaxy"}
    found = [made(webui, {**named, **more}, cfg_scale=1).pixels for more in CONTENT]
    assert len({each[0] for each in found}) == len(CONTENT)


CONTENT = (
    {},
    {"guidance_from": "negative image"},
    {"attention_guidance": 0},
    {"content": "a cat"},
    {"content_scale": 1},
)


def test_two_fused_units_in_any_order(webui):
    other = {**FUSED, "image": picture("deep_field.jpg"), "weight": 0.6}

    def both(first, second):
        return webui.txt2img(steps=STEPS, **style(first, second)).images[0]

    assert difference(both(FUSED, other), both(other, FUSED)) <= 1
    assert difference(both(FUSED, other), made(webui, FUSED).images[0]) > 8


def test_what_fusion_cannot_take_is_said(webui):
    answer = made(webui, {**FUSED, "weight": 1.5, "embeds_scaling": "K+V"})
    assert answer.pixels == made(webui, FUSED).pixels
    assert "fusion adain takes weights from 0 to 1, so that 1.5 acts as 1" in answer.infotexts[-1]
    assert "embeds_scaling does nothing with fusion adain" in answer.infotexts[-1]
