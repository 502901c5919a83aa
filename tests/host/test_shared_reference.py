"""StyleAligned and swapped self-attention inside a WebUI."""

import pytest

from tests.host import test_styleid
from tests.host.test_extension import hooks_on, picture, style
from tests.host.test_styleid import CONTENT, Calls, Watching, difference

session = test_styleid.session
webui = test_styleid.webui
sdxl = test_styleid.sdxl
said = test_styleid.said

STEPS = 4
FIELDS = {"prompt": "a cat", "steps": STEPS, "width": 128, "height": 128}
METHODS = ("stylealigned", "swap")


def unit(method, **fields):
    return {"image": picture("deep_field.jpg"), "method": method, **fields}


def run(webui, *units, **fields):
    return webui.txt2img(**{**FIELDS, **fields}, **(style(*units) if units else {}))


@pytest.mark.parametrize("method", METHODS)
def test_the_reference_is_inverted_once_and_looked_at_in_each_evaluation(webui, method):
    with Calls(webui) as rows:
        first = run(webui, unit(method))
    looking = [1, 2] * STEPS
    assert rows == [*[1] * STEPS, *looking]
    with Calls(webui) as rows:
        assert run(webui, unit(method)).png == first.png
    assert rows == [1, *looking]
    assert f"method: {method}" in first.infotexts[0]
    assert difference(first.images[0], run(webui).images[0]) > 8


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sampler", ["DDIM", "Heun", "Euler a", "DPM++ 2M"])
def test_every_sampler_can(webui, method, sampler):
    """Of second order too, whose evaluations lie between the levels of the inversion."""
    plain = run(webui, sampler_name=sampler)
    answer = run(webui, unit(method), sampler_name=sampler)
    assert difference(answer.images[0], plain.images[0]) > 8
    assert run(webui, sampler_name=sampler).png == plain.png


@pytest.mark.parametrize("method", METHODS)
def test_hires_fix_a_batch_and_img2img(webui, method):
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Lanczos"}
    hires |= {"denoising_strength": 0.6, "batch_size": 2}
    styled, plain = run(webui, unit(method), **hires), run(webui, **hires)
    assert [difference(*pair) > 8 for pair in zip(styled.images, plain.images)] == [True] * 2
    fields = {**FIELDS, "denoising_strength": 0.6}
    styled = webui.img2img(CONTENT, **fields, **style(unit(method)))
    assert difference(styled.images[0], webui.img2img(CONTENT, **fields).images[0]) > 8


@pytest.mark.parametrize(
    "change",
    [{"shared_shift": 3}, {"shared_shift": 0}, {"shared_scale": 0.5}, {"adain": 0}, {"end": 0.5}],
    ids=str,
)
def test_fields_of_style_aligned(webui, change):
    plain = run(webui, unit("stylealigned"))
    assert run(webui, unit("stylealigned", **change)).pixels != plain.pixels


def test_sdxl(sdxl):
    plain = run(sdxl)
    for method in METHODS:
        assert difference(run(sdxl, unit(method)).images[0], plain.images[0]) > 1


def test_outside_start_and_end_the_unet_is_not_asked(webui, said):
    with Calls(webui) as rows:
        run(webui, unit("swap", start=0.5))
    assert rows == [2, 2, *[1] * STEPS, 1, 2, 1, 2]
    with Calls(webui) as rows:
        run(webui, unit("swap", start=0.9))
    assert rows == [2] * STEPS
    assert "no sampling step falls between start and end" in said[0]


def test_beside_an_ip_adapter(webui, said):
    adapter = {"image": picture("coffee.jpg")}
    both = run(webui, unit("swap"), adapter).images[0]
    alone = [run(webui, each).images[0] for each in (unit("swap"), adapter)]
    assert min(difference(both, image) for image in alone) > 8
    assert said == []


@pytest.mark.parametrize("method", METHODS)
def test_errors_and_interruption_leave_nothing(webui, method):
    before = run(webui)

    def fail():
        raise RuntimeError("the UNet failed")

    for at in (2, STEPS + 2, STEPS + 3):
        with Watching(webui, at, fail):
            assert run(webui, unit(method), expect=None).status == 500
        assert hooks_on(webui.sd_model) == []
        with Watching(webui, at, webui.shared.state.interrupt):
            assert run(webui, unit(method)).status == 200
    assert run(webui).png == before.png
    webui.reports.clear()


def test_one_of_them_at_a_time(webui):
    answer = run(webui, unit("swap"), unit("stylealigned"), expect=422)
    assert answer.body["detail"] == (
        "unit 1: unit 2 works on self-attention too (its method is 'stylealigned'); one such "
        "unit is allowed."
    )
    twice = {**unit("swap"), "image": [picture("coffee.jpg"), picture("deep_field.jpg")]}
    assert "swap takes one" in run(webui, twice, expect=422).body["detail"]
