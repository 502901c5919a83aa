"""The palette of a reference in a WebUI: with each method, alone, and in every kind of picture."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from tests.host.generations import CONTENT, difference, picture, style

STEPS = 4
FIELDS = {"prompt": "a cat", "steps": STEPS, "width": 64, "height": 64, "seed": 5}
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}
IMAGE = picture("deep_field.jpg")
ALONE = {"image": IMAGE, "weight": 0, "palette": 1}


def run(webui, *units, **fields):
    return webui.txt2img(**{**FIELDS, **fields}, **(style(*units) if units else {}))


def as_text(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def sampled(webui, monkeypatch):
    """The latents that each sampling ends with."""
    from modules import scripts

    found, post_sample = [], scripts.ScriptRunner.post_sample

    def seen(self, p, ps):
        found.append(ps.samples.clone())
        return post_sample(self, p, ps)

    monkeypatch.setattr(scripts.ScriptRunner, "post_sample", seen)
    return found


def test_one_step_is_the_transform_itself(webui, sampled):
    """With one step of Euler the predicted picture is the picture."""
    from lib_instantstyle.hosts.diffusion import Diffusion
    from lib_instantstyle.methods.recolouring import colours

    encoded, encode = [], Diffusion.encode

    def seen(self, pixels):
        encoded.append(encode(self, pixels))
        return encoded[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Diffusion, "encode", seen)
        run(webui, ALONE, steps=1)
    run(webui, steps=1)
    styled, plain = sampled
    wanted, own = colours(encoded[-1]), colours(plain)
    values, vectors = np.linalg.eigh(wanted.covariance[0])
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    values, vectors = np.linalg.eigh(own.covariance[0].numpy() + np.eye(4))
    turn = root @ (vectors / np.sqrt(values)) @ vectors.T
    apart = plain[0].flatten(1).double().numpy() - own.mean[0].numpy()[:, None]
    expected = turn @ apart + wanted.mean[0].numpy()[:, None]
    np.testing.assert_allclose(styled[0].flatten(1).numpy(), expected, atol=2e-4)


def test_it_is_off_by_default_and_says_its_steps(webui):
    plain = run(webui).pixels
    assert run(webui, {**ALONE, "palette": 0}).pixels == plain
    answer = run(webui, ALONE)
    assert answer.pixels != plain
    assert "weight: 0, palette: 1, reference: " in answer.infotexts[0]
    assert "InstantStyle 1 palette: 2 to 3 of 4" in answer.infotexts[0]
    assert run(webui, ALONE).pixels == answer.pixels
    assert run(webui).pixels == plain


def test_alone_it_needs_no_adapter(webui, monkeypatch):
    from lib_instantstyle.models import selection

    monkeypatch.setattr(selection, "choose", None)
    assert run(webui, ALONE).pixels != run(webui).pixels
    assert run(webui, {**ALONE, "method": "swap"}).pixels == run(webui, ALONE).pixels


@pytest.mark.parametrize("method", ["ip-adapter", "swap", "stylealigned"])
def test_with_each_method_it_acts_beside_it(webui, method):
    unit = {"image": IMAGE, "method": method}
    found = [run(webui, {**unit, "palette": share}) for share in (0, 0.5, 1)]
    assert len({each.pixels[0] for each in found}) == 3
    assert "palette" not in found[0].infotexts[0]
    assert "InstantStyle 1 palette: 2 to 3 of 4" in found[1].infotexts[0]


def test_with_styleid(webui):
    fields = {"denoising_strength": 1, "sampler_name": "DDIM"}
    unit = {"image": IMAGE, "method": "styleid"}
    request = {**FIELDS, **fields}
    plain = webui.img2img(CONTENT, **request, **style(unit))
    coloured = webui.img2img(CONTENT, **request, **style({**unit, "palette": 1}))
    assert plain.pixels != coloured.pixels
    assert "InstantStyle 1 palette: " in coloured.infotexts[0]


@pytest.mark.parametrize("sampler", ["DDIM", "Heun", "DPM++ 2M", "Euler a", "UniPC", "PLMS"])
def test_every_sampler(webui, sampler):
    fields = {"sampler_name": sampler, "steps": 5}
    found = run(webui, ALONE, **fields)
    assert found.pixels != run(webui, **fields).pixels
    assert "InstantStyle 1 palette: " in found.infotexts[0]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_hold_one_of_the_window(webui, steps):
    found = run(webui, ALONE, steps=steps)
    assert found.pixels != run(webui, steps=steps).pixels


def test_pictures_of_a_batch_are_as_alone(webui):
    batch = run(webui, ALONE, batch_size=2, n_iter=2)
    for i in range(4):
        assert difference(run(webui, ALONE, seed=5 + i).images[0], batch.images[i]) <= 2


def test_passes_of_hires_fix(webui):
    both = run(webui, ALONE, **HIRES)
    line = 'InstantStyle 1 palette: "2 to 3 of 4; hires fix 2 to 3 of 4"'
    assert line.replace('"', "") in both.infotexts[0].replace('"', "")
    first, second = (run(webui, {**ALONE, "hires_pass": x}, **HIRES) for x in ("base", "hires"))
    assert len({each.pixels[0] for each in (both, first, second, run(webui, **HIRES))}) == 4
    assert "palette: hires fix 2 to 3 of 4" in second.infotexts[0]


def test_inpainting_changes_what_it_paints(webui, sampled):
    mask = Image.new("L", CONTENT.size)
    mask.paste(255, (0, 64, 128, 128))
    fields = {
        **FIELDS,
        "mask": as_text(mask),
        "denoising_strength": 0.9,
        "mask_blur": 0,
    }
    webui.img2img(CONTENT, **fields, **style(ALONE))
    webui.img2img(CONTENT, **fields)
    coloured, plain = sampled
    assert torch.equal(coloured[:, :, :3], plain[:, :, :3])
    assert not torch.equal(coloured[:, :, 5:], plain[:, :, 5:])


def test_two_units_in_any_order(webui):
    one = {**ALONE, "palette": 0.8}
    two = {**ALONE, "image": picture("coffee.jpg"), "palette": 0.6}
    a, b = run(webui, one, two), run(webui, two, one)
    assert difference(a.images[0], b.images[0]) <= 1
    assert "InstantStyle 2 palette: " in a.infotexts[0]


def test_references_for_each_picture(webui):
    pictures = [IMAGE, picture("coffee.jpg")]
    batch = run(webui, {**ALONE, "image": pictures, "combine": "each"}, batch_size=2)
    for i, image in enumerate(pictures):
        alone = run(webui, {**ALONE, "image": image}, seed=5 + i)
        assert difference(alone.images[0], batch.images[i]) <= 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"image": None}, "palette is 1, which needs the reference picture itself, and none is"),
        ({"image": None, "style": "ink"}, "style 'ink' does not hold it"),
        ({"palette": 1.5}, "palette is 1.5"),
    ],
)
def test_what_it_cannot_do_is_said(webui, fields, sentence):
    refused = webui.txt2img(expect=422, **FIELDS, **style({**ALONE, **fields}))
    assert sentence in refused.body["detail"]


def test_infotext_brings_pictures_weights_and_mask_back(webui):
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    images = [{"image": IMAGE, "weight": 0.5}, picture("coffee.jpg")]
    made = run(webui, {**ALONE, "image": images, "mask": as_text(mask)})
    assert "*0.5 " in made.infotexts[0] and "mask: " in made.infotexts[0]
    again = webui.txt2img(**FIELDS, infotext=made.infotexts[0])
    assert again.pixels == made.pixels


def test_a_plan_names_a_problem_of_a_picture_once(webui):
    unit = {"image": "no picture", "palette": 1}
    problems = webui.post("/instantstyle/plan", {"units": [unit]}).json()["problems"]
    assert len(problems) == len(set(problems)) == 1


def test_a_plan_names_the_steps(webui):
    plan = webui.post("/instantstyle/plan", {"units": [ALONE], "steps": 20}).json()
    assert plan["problems"] == []
    assert plan["units"][0]["palette"] == "5 to 12 of 20"
    refused = webui.post("/instantstyle/plan", {"units": [{**ALONE, "image": None}]}).json()
    assert any("palette is 1" in problem for problem in refused["problems"])


def test_a_tag_s_strength_and_a_saved_style_leave_it_out(webui):
    from lib_instantstyle.styles.header import settings_of
    from tests.units import parse_unit

    assert settings_of(parse_unit({**ALONE, "preset": "layout"})) == {
        "preset": "layout",
        "weight": 0.0,
    }
