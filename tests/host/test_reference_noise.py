"""References with noise in place of an inversion, inside a WebUI."""

import pytest

from tests.host.generations import difference, picture, style
from tests.host.watching import Calls

pytestmark = pytest.mark.usefixtures("nothing_inverted")

STEPS = 4
FIELDS = {"prompt": "a cat", "steps": STEPS, "width": 64, "height": 64, "seed": 5}
METHODS = ("stylealigned", "swap")
NOISES = ("same", "fresh", "fixed")
HIRES = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Lanczos", "denoising_strength": 0.6}


def unit(method, noise, **fields):
    image = picture("deep_field.jpg")
    return {"image": image, "method": method, "reference_noise": noise, **fields}


def run(webui, *units, **fields):
    return webui.txt2img(**{**FIELDS, **fields}, **(style(*units) if units else {}))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("method", METHODS)
def test_no_call_before_the_first_step(webui, method, noise):
    with Calls(webui) as rows:
        answer = run(webui, unit(method, noise))
    looking = [1, *[2] * STEPS] if noise == "fixed" else [1, 2] * STEPS
    assert rows == looking
    assert f"reference_noise: {noise}" in answer.infotexts[0]
    assert difference(answer.images[0], run(webui).images[0]) > 8


def test_each_kind_is_another_picture_and_same_is_the_usual_one(webui):
    kinds = ("inversion", *NOISES)
    answers = {noise: run(webui, unit("swap", noise)) for noise in kinds}
    assert len({each.pixels[0] for each in answers.values()}) == 4
    usual = run(webui, {"image": picture("deep_field.jpg"), "method": "swap"})
    assert usual.pixels == answers["same"].pixels
    # Infotext of a version that knew no other way does not name it, and means an inversion.
    named = [noise for noise in kinds if f"reference_noise: {noise}" in answers[noise].infotexts[0]]
    assert named == list(NOISES)
    for noise, answer in answers.items():
        again = run(webui, infotext=answer.infotexts[0])
        assert again.pixels == answer.pixels, noise
    assert "reference_noise" not in run(webui, {"image": picture("coffee.jpg")}).infotexts[0]


def test_steps_of_an_inversion_that_does_not_take_place(webui):
    given = {"steps_of_inversion": 3}
    note = "steps_of_inversion does nothing, because reference_noise is 'same'"
    assert note in run(webui, unit("stylealigned", "same", **given)).infotexts[0]
    assert "note" not in run(webui, unit("stylealigned", "inversion", **given)).infotexts[0]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("method", METHODS)
def test_a_picture_is_the_same_alone_and_in_a_batch(webui, method, noise):
    with Calls(webui) as rows:
        batch = run(webui, unit(method, noise), batch_size=3)
    assert rows == ([3, *[6] * STEPS] if noise == "fixed" else [3, 6] * STEPS)
    for i in range(3):
        alone = run(webui, unit(method, noise), seed=5 + i)
        assert difference(alone.images[0], batch.images[i]) <= 2


@pytest.mark.parametrize("noise", NOISES)
def test_it_can_be_repeated_and_changes_no_other_picture(webui, noise):
    plain = run(webui, n_iter=2).pixels
    first = run(webui, unit("swap", noise), n_iter=2).pixels
    assert run(webui, unit("swap", noise), n_iter=2).pixels == first
    assert run(webui, n_iter=2).pixels == plain
    ancestral = {"sampler_name": "Euler a"}  # which draws noise in each step
    idle = {"start": 0.999, "end": 1}
    assert run(webui, unit("swap", noise, **idle), **ancestral).pixels == (
        run(webui, **ancestral).pixels
    )


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("sampler", ["DDIM", "Heun", "DPM++ 2M"])
def test_samplers_and_hires_fix(webui, noise, sampler):
    for more in ({}, HIRES):
        fields = {"sampler_name": sampler, "batch_size": 2, **more}
        styled, plain = run(webui, unit("swap", noise), **fields), run(webui, **fields)
        assert all(difference(*pair) > 8 for pair in zip(styled.images, plain.images))


def test_shared_norms_of_a_batch(webui):
    batch = run(webui, unit("stylealigned", "same", shared_norms=True), batch_size=2)
    alone = run(webui, unit("stylealigned", "same", shared_norms=True), seed=6)
    assert difference(alone.images[0], batch.images[1]) <= 2


def test_rows_called_apart(webui):
    together = run(webui, unit("swap", "same"), batch_size=2)
    webui.shared.opts.data["batch_cond_uncond"] = False
    apart = run(webui, unit("swap", "same"), batch_size=2)
    assert all(difference(*pair) <= 2 for pair in zip(together.images, apart.images))


@pytest.mark.parametrize("noise", ["inversion", *NOISES])
def test_negative_queries(webui, noise):
    swap, guided = unit("swap", noise), unit("swap", noise, negative_query=True)
    with Calls(webui) as rows:
        found = run(webui, guided)
    with Calls(webui) as same_rows:
        without = run(webui, swap)
    if noise != "inversion":  # which is remembered from the first picture
        assert rows == same_rows
    assert found.pixels != without.pixels
    assert "negative_query: true" in found.infotexts[0]
    hires = [run(webui, each, **HIRES).pixels for each in (guided, swap)]
    assert hires[0] != hires[1]
    webui.shared.opts.data["batch_cond_uncond"] = False
    assert difference(run(webui, guided).images[0], found.images[0]) <= 2


def test_negative_queries_do_nothing_at_cfg_1(webui):
    found = run(webui, unit("swap", "same", negative_query=True), cfg_scale=1)
    without = run(webui, unit("swap", "same"), cfg_scale=1)
    assert difference(found.images[0], without.images[0]) <= 1  # guidance is u + (c - u), rounded
    assert "negative_query does nothing" in found.infotexts[0]


def test_negative_queries_of_the_first_picture_of_a_batch(webui):
    given = {"method": "swap", "negative_query": True}
    found = run(webui, given, batch_size=2)
    without = run(webui, {"method": "swap"}, batch_size=2)
    assert found.pixels[1] != without.pixels[1]


GUIDED = {"reference_noise": "same", "style_guidance": 3}


@pytest.mark.parametrize("fields", [{}, {"batch_size": 3}, {"cfg_scale": 1}], ids=str)
def test_style_guidance_calls_the_unet_with_and_without_the_reference(webui, fields):
    count = fields.get("batch_size", 1)
    with Calls(webui) as rows:
        guided = run(webui, {**unit("swap", "same"), **GUIDED}, **fields)
    own = rows[3]  # with CFG 1 the negative rows may be left out
    assert rows == [count, count, count, own] * STEPS and own >= count
    plain = run(webui, **fields)
    swapped = run(webui, unit("swap", "same"), **fields)
    for one, two, three in zip(guided.images, plain.images, swapped.images):
        assert difference(one, two) > 2 and difference(one, three) > 2
    for i in range(count):
        alone = run(
            webui, {**unit("swap", "same"), **GUIDED}, **{**fields, "batch_size": 1}, seed=5 + i
        )
        assert difference(alone.images[0], guided.images[i]) <= 2


@pytest.mark.parametrize("sampler", ["DDIM", "Heun", "DPM++ 2M"])
def test_style_guidance_with_every_sampler_and_hires_fix(webui, sampler):
    for more in ({}, HIRES):
        fields = {"sampler_name": sampler, **more}
        guided = run(webui, {**unit("swap", "same"), **GUIDED}, **fields)
        assert difference(guided.images[0], run(webui, **fields).images[0]) > 2


def test_style_guidance_0_is_swapping(webui):
    off = {**unit("swap", "same"), "style_guidance": 0}
    assert run(webui, off).pixels == run(webui, unit("swap", "same")).pixels


def test_style_guidance_needs_a_reference(webui):
    answer = webui.txt2img(
        expect=422, **FIELDS, batch_size=2, **style({"method": "swap", "style_guidance": 3})
    )
    assert "style_guidance needs a reference picture" in answer.body["detail"]
    both = {**unit("swap", "same"), **GUIDED, "negative_query": True}
    answer = run(webui, both)
    assert "negative_query does nothing beside style_guidance" in answer.infotexts[0]
    assert answer.pixels == run(webui, {**unit("swap", "same"), **GUIDED}).pixels
