"""StyleAligned and swapped self-attention inside a WebUI."""

import shutil

import pytest
import torch

from tests.host.generations import CONTENT, difference, picture, style
from tests.host.watching import Calls, Watching, hooks_on
from tests.miniature.flavour import A1111, flavour

pytestmark = pytest.mark.usefixtures("nothing_inverted")


STEPS = 4
FIELDS = {"prompt": "a cat", "steps": STEPS, "width": 64, "height": 64}
METHODS = ("stylealigned", "swap")


def unit(method, **fields):
    image = picture("deep_field.jpg")
    return {"image": image, "method": method, "reference_noise": "inversion", **fields}


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
def test_hires_fix_may_change_to_a_checkpoint_of_the_other_family(webui, method, monkeypatch):
    """Which has other blocks, and a VAE that makes other latents."""
    from modules import sd_models

    from lib_instantstyle.hosts.diffusion import Diffusion
    from lib_instantstyle.methods.self_attention import AttentionMethod

    encoded, blocks = [], []
    encode, blocks_of = Diffusion.encode, AttentionMethod.blocks_of
    monkeypatch.setattr(
        Diffusion, "encode", lambda *args: encoded.append(args[0].checkpoint) or encode(*args)
    )
    monkeypatch.setattr(
        AttentionMethod,
        "blocks_of",
        lambda *args: blocks.append(args[-1].id) or blocks_of(*args),
    )
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Lanczos"}
    hires |= {"denoising_strength": 0.6}
    hires["hr_checkpoint_name"] = next(x for x in sd_models.checkpoints_list if "sdxl" in x)
    webui.use("tiny_sd15.")
    styled = run(webui, unit(method), **hires)
    assert len(set(encoded)) == 2
    assert list(dict.fromkeys(blocks)) == ["sd15", "sdxl"]
    webui.use("tiny_sd15.")
    plain = run(webui, **hires)
    assert difference(styled.images[0], plain.images[0]) > 8
    assert "InstantStyle 1" in styled.parameters
    webui.use("tiny_sd15.")


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
    [
        {"shared_shift": 3},
        {"shared_shift": 0},
        {"shared_scale": 0.5},
        {"shared_norms": True},
        {"adain": 0},
        {"end": 0.5},
    ],
    ids=str,
)
def test_fields_of_style_aligned(webui, change):
    plain = run(webui, unit("stylealigned"))
    assert run(webui, unit("stylealigned", **change)).pixels != plain.pixels


@pytest.fixture
def latents(webui, monkeypatch):
    """Those that are decoded."""
    made = []
    decode = webui.sd_model.decode_first_stage
    monkeypatch.setattr(webui.sd_model, "decode_first_stage", lambda x: made.append(x) or decode(x))
    return made


@pytest.mark.parametrize("reference", ["picture", "batch"])
def test_colour_calibration_gives_the_channels_of_the_reference(
    webui, monkeypatch, latents, reference
):
    """Euler's last evaluation is the first whose timestep is below 150: nothing comes after it."""
    from lib_instantstyle.methods.shared_reference import SharedReference

    references = []
    encode = SharedReference.before_sample
    monkeypatch.setattr(
        SharedReference, "before_sample", lambda self, p: encode(self, p) or references.append(self)
    )
    given = unit("swap") if reference == "picture" else {"method": "swap"}
    for calibrated in (True, False):
        latents.clear()
        run(webui, {**given, "colour_calibration": calibrated}, batch_size=2)
        first, second = latents
        expected = first if reference == "batch" else references[-1].reference
        far = [
            (statistic(second, (2, 3)) - statistic(expected, (2, 3))).abs().max().item()
            for statistic in (torch.mean, torch.std)
        ]
        assert (max(far) < 0.01) == calibrated, far


@pytest.mark.parametrize(("sampler", "left"), [("Euler", 0.0), ("DDIM", 0.05)])
def test_what_is_done_to_predictions_is_done_for_samplers_of_both_kinds(
    webui, monkeypatch, latents, sampler, left
):
    """If they are nothing in all evaluations, so is the picture; DDIM stops at timestep 1."""
    from lib_instantstyle.methods.swap import method

    monkeypatch.setattr(method.ColourCalibration, "is_due", lambda self, sigma: True)
    monkeypatch.setattr(method.SwapPart, "_calibrated", lambda self, x: torch.zeros_like(x))
    run(webui, unit("swap", colour_calibration=True), sampler_name=sampler)
    assert latents[0].std().item() == pytest.approx(left, abs=0.01 if left else 1e-6)


@pytest.mark.parametrize(
    ("method", "blocks", "same"),
    [("stylealigned", "0:1; 5:1", False), ("stylealigned", "*=0.5", True),
     ("swap", "up_blocks.1=1", False), ("swap", "up_blocks.3=1", True)],
)  # fmt: skip
def test_blocks_choose_the_layers(webui, method, blocks, same):
    """Any weight but 0 does; named as usual, the usual ones."""
    usual, chosen = run(webui, unit(method)), run(webui, unit(method, blocks=blocks))
    assert (chosen.pixels == usual.pixels) == same
    assert chosen.pixels != run(webui).pixels
    assert "blocks: " in chosen.infotexts[0]


def test_blocks_that_do_not_fit_are_refused(webui):
    answer = run(webui, unit("swap", blocks=[1] * 11), expect=422)
    assert "unit 1: blocks has 11 numbers; SD1.5 has 16" in answer.body["detail"]
    answer = run(webui, unit("swap", blocks="5:0"), expect=422)
    assert "blocks gives every block the weight 0; swap needs one" in answer.body["detail"]


def batch(webui, method, fields=None, **more):
    given = {"batch_size": 3, **more}
    return run(webui, *([{"method": method, **(fields or {})}] if method else []), **given)


in_parts = pytest.mark.skipif(flavour() != A1111, reason="Forge has no such setting")


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=in_parts)], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_without_a_reference_the_first_picture_of_the_batch_is_it(webui, said, method, apart):
    webui.shared.opts.data["batch_cond_uncond"] = not apart
    plain = batch(webui, None).images[-3:]
    with Calls(webui) as rows:
        styled = batch(webui, method).images[-3:]
    assert rows == ([3, 3] if apart else [6]) * STEPS  # nothing is inverted, nothing asked aside
    differences = [difference(*pair) for pair in zip(styled, plain)]
    assert differences[0] <= 1
    assert min(differences[1:]) > 8
    assert said == [
        "InstantStyle: unit 1: no reference was given, so the first picture of each batch is the "
        "reference."
    ]


def test_each_batch_has_a_reference_of_its_own(webui):
    both = batch(webui, "stylealigned", {"shared_norms": True}, n_iter=2).images[-6:]
    later = batch(webui, "stylealigned", {"shared_norms": True}, seed=4).images[-3:]
    both_seeded = batch(webui, "stylealigned", {"shared_norms": True}, seed=1, n_iter=2).images
    assert [difference(*pair) <= 1 for pair in zip(both_seeded[-3:], later)] == [True] * 3
    assert difference(both[0], both[3]) > 8


def test_a_single_picture_without_a_reference_is_refused(webui):
    for method in METHODS:
        answer = run(webui, {"method": method}, expect=422)
        assert answer.body["detail"].startswith("Unit 1 is on but has no reference")


@in_parts
def test_a_call_without_the_first_picture_is_refused(webui):
    assert batch(webui, "swap", prompt="a cat AND a dog").status == 200  # all rows in one call
    webui.shared.opts.data["batch_cond_uncond"] = False
    answer = batch(webui, "swap", prompt="a cat AND a dog", expect=422)
    assert "a call of the UNet lacks it, because of AND in a prompt" in answer.body["detail"]
    webui.reports.clear()


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
    masked = {**unit("swap"), "mask": picture("coffee.jpg")}
    assert "swap acts on the whole picture" in run(webui, masked, expect=422).body["detail"]


@pytest.mark.parametrize("method", METHODS)
def test_infotext_brings_the_reference_back(webui, method):
    from lib_instantstyle.hosts import own_folder

    shutil.rmtree(own_folder() / "references", ignore_errors=True)
    styled = run(webui, unit(method))
    assert run(webui, infotext=styled.infotexts[0]).pixels == styled.pixels
    assert len(list((own_folder() / "references").glob("*.picture"))) == 1
