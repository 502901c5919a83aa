"""StyleID inside a WebUI: calls, progress, interruption, batches, errors, what is left behind."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.host.generations import CONTENT, difference, open_picture, picture, style
from tests.host.watching import Calls, Watching, hooks_on
from tests.miniature.flavour import A1111, flavour
from tests.miniature.harness import to_base64

pytestmark = pytest.mark.usefixtures("nothing_inverted")

STEPS = 4
# Rows of one picture in the sampling's own call, which follows those of the reference and of the
# picture to change. Without a prompt its guidance scale is 1, for which the Forge family leaves the
# negative row out.
ROWS = 2 if flavour() == A1111 else 1
OF_A_STEP = [1, 1, ROWS]


STYLE = open_picture("deep_field.jpg")
UNIT = {"image": picture("deep_field.jpg"), "method": "styleid"}
FIELDS = {"prompt": "", "steps": STEPS, "denoising_strength": 1.0, "width": 64, "height": 64}
LARGE = {"width": 128, "height": 128}  # as the content is


def run(webui, content=CONTENT, unit=UNIT, **fields):
    return webui.img2img(content, **{**FIELDS, **fields}, **(style(unit) if unit else {}))


# -- what it does --------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
def test_calls_of_the_unet(webui, sampler):
    """Both pictures are inverted once; then two calls aside and one of the sampling a step."""
    with Calls(webui) as rows:
        first = run(webui, sampler_name=sampler)
    steps = OF_A_STEP * STEPS
    assert rows == [1] * STEPS * 2 + steps
    with Calls(webui) as rows:
        second = run(webui, sampler_name=sampler)
    assert rows == [1, 1, *steps]  # one question tells that the trajectories still hold
    assert first.png == second.png


def test_it_draws_no_random_numbers(webui):
    assert run(webui, seed=1).pixels == run(webui, seed=2).pixels
    assert run(webui, seed=1, unit=None).pixels != run(webui, seed=2, unit=None).pixels


@pytest.mark.usefixtures("as_in_generation")
def test_encoding_the_reference_takes_no_number_from_others(webui, monkeypatch):
    """Real WebUIs draw a latent from what the VAE says; the next picture would be another."""
    from lib_instantstyle.hosts import current

    model = webui.sd_model
    encode = model.encode_first_stage
    drawn = lambda pixels: encode(pixels) + torch.randn(1)  # noqa: E731
    monkeypatch.setattr(model, "encode_first_stage", drawn)

    class P:
        sd_model = model

    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    latents = [current(P).diffusion(P).encode(pixels) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(latents[0], encode(2 * pixels - 1))


def test_samplers_of_the_same_levels_agree(webui):
    """DDIM in timesteps and Euler in sigmas, over the published run's levels."""
    unit = {**UNIT, "schedule": "published"}
    fields = {"steps": 5, "unit": unit}
    euler, ddim = (run(webui, sampler_name=name, **fields) for name in ("Euler", "DDIM"))
    assert difference(euler.images[0], ddim.images[0]) <= 1
    other = run(webui, sampler_name="DDIM", steps=5)
    assert difference(other.images[0], ddim.images[0]) > 8


@pytest.mark.parametrize(
    "change",
    [
        {"gamma": 0.2},
        {"gamma_end": 0.2},
        {"gamma_end": 0.2, "gamma_curve": "square root"},
        {"tau": 1.0},
        {"adain": False},
        {"adain": 0.5},
        {"end": 0.5},
        {"start": 0.5},
        {"crop": "stretch", "image": picture("coffee.jpg")},
        {"steps_of_inversion": 20},
    ],
    ids=lambda change: ",".join(change),
)
def test_each_field_changes_the_picture(webui, change):
    plain, changed = run(webui), run(webui, unit={**UNIT, **change})
    assert changed.pixels != plain.pixels
    for key in change.keys() - {"image"}:
        assert f"{key}: " in changed.infotexts[0]


@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
def test_denoising_strength_starts_at_the_trajectory_s_own_step(webui, sampler):
    with Calls(webui) as rows:
        run(webui, sampler_name=sampler, steps=8, denoising_strength=0.5)
    executed = 5  # the WebUI executes int(0.5 * 8) + 1 steps
    assert rows == [1] * executed * 2 + OF_A_STEP * executed


def test_prompt_and_guidance_act(webui):
    with_words = [run(webui, prompt="a cat", cfg_scale=scale).pixels for scale in (2.0, 7.0)]
    without = [run(webui, cfg_scale=scale).pixels for scale in (2.0, 7.0)]
    assert with_words[0] != with_words[1] != without[0]
    assert without[0] == without[1]


def test_sdxl(sdxl):
    with Calls(sdxl) as rows:
        first = run(sdxl)
    assert rows == [1] * STEPS * 2 + OF_A_STEP * STEPS
    assert first.pixels != run(sdxl, unit=None).pixels
    # SDXL's empty negative prompt is zeros, its empty prompt is not: guidance would tell.
    assert run(sdxl, cfg_scale=2.0).pixels == first.pixels


# -- progress, previews, interruption ------------------------------------------------------------


def test_progress_is_told(webui, monkeypatch):
    from modules import sd_samplers_common

    previews = []
    monkeypatch.setattr(
        sd_samplers_common,
        "store_latent",
        lambda latent: previews.append(latent.clone()),
    )
    monkeypatch.setattr("modules.sd_samplers_cfg_denoiser.sd_samplers_common", sd_samplers_common)
    with Watching(webui) as watch:
        run(webui)
    inverting = watch.seen[: 2 * STEPS]
    assert [text for text, *_ in inverting] == [
        f"InstantStyle: inverting the {what}, {i} of {STEPS}"
        for what in ("reference", "content")
        for i in range(1, STEPS + 1)
    ]
    assert [step for _, step, _ in watch.seen[2 * STEPS :: 3]] == [0, 0, 1, 2]
    assert {steps for *_, steps in watch.seen} == {STEPS}
    assert len(previews) == STEPS
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(previews, previews[1:]))  # noqa: RUF007


@pytest.mark.parametrize("at", [2, 2 * STEPS + 3, 2 * STEPS + 5])
def test_interruption_ends_it_and_leaves_nothing(webui, at):
    """In an inversion, in a call aside, in a step of the sampling."""
    with Watching(webui, at, webui.shared.state.interrupt) as watch:
        answer = run(webui)
    assert answer.status == 200
    assert len(watch.seen) < 2 * STEPS + 3 * STEPS - 2
    finished = run(webui)
    with Calls(webui) as rows:
        assert run(webui).png == finished.png
    assert len(rows) == 2 + 3 * STEPS


def test_an_error_in_the_unet_leaves_nothing(webui):
    before = run(webui, unit=None)

    def fail():
        raise RuntimeError("the UNet failed")

    with Watching(webui, 2 * STEPS + 4, fail):
        assert run(webui, expect=None).status == 500
    assert hooks_on(webui.sd_model) == []
    assert run(webui, unit=None).png == before.png
    webui.reports.clear()


def test_without_it_a_picture_is_the_same_before_and_after(webui):
    before = run(webui, unit=None, seed=3)
    run(webui, seed=3)
    assert run(webui, unit=None, seed=3).png == before.png


def test_the_sampler_s_function_is_its_own_again(webui, monkeypatch):
    from modules import sd_samplers

    made = []
    create = sd_samplers.create_sampler

    def remember(*args):
        made.append(create(*args))
        return made[-1]

    monkeypatch.setattr(sd_samplers, "create_sampler", remember)
    run(webui, n_iter=2)
    assert made
    assert all("lib_instantstyle" not in sampler.func.__module__ for sampler in made)


# -- batches -------------------------------------------------------------------------------------


def test_batches_of_one_picture(webui, said):
    alone = run(webui).images[0]
    assert said == []
    with Calls(webui) as rows:
        batch = run(webui, batch_size=2, n_iter=2)
    assert [difference(image, alone) <= 1 for image in batch.images[-4:]] == [True] * 4
    assert rows == [1, 1, *[1, 1, 2 * ROWS] * STEPS] * 2
    assert "the pictures of a batch are alike" in said[0]


def test_a_batch_of_different_pictures_takes_each_content(webui):
    pictures = [CONTENT, CONTENT.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    alone = [run(webui, content).images[0] for content in pictures]
    sent = [to_base64(content) for content in pictures]
    batch = run(webui, init_images=sent, batch_size=2).images[-2:]
    assert [difference(*pair) <= 1 for pair in zip(batch, alone)] == [True, True]
    assert difference(*alone) > 8


def test_beside_an_ip_adapter(webui, said):
    """Calls aside get no image tokens, and its rows are counted as ever."""
    adapter = {"image": picture("coffee.jpg")}
    both = webui.img2img(CONTENT, **FIELDS, **style(UNIT, adapter)).images[0]
    alone = [run(webui, unit=unit).images[0] for unit in (UNIT, adapter)]
    assert min(difference(both, image) for image in alone) > 8
    faint = webui.img2img(CONTENT, **FIELDS, **style(UNIT, {**adapter, "weight": 1e-9}))
    assert difference(faint.images[0], alone[0]) <= 1
    assert said == []


def test_inpainting_keeps_what_is_not_masked(webui):
    mask = Image.new("L", CONTENT.size, 0)
    mask.paste(255, (0, 0, 64, 128))
    fields = {"mask_blur": 0, "inpaint_full_res": False, "inpainting_fill": 1, **LARGE}
    answer = run(webui, mask=mask, **fields)
    kept, painted = (80, 0, 128, 128), (0, 0, 48, 128)
    assert difference(answer.images[0].crop(kept), CONTENT.crop(kept)) == 0
    assert difference(answer.images[0].crop(painted), CONTENT.crop(painted)) > 8


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "fields", "sentence"),
    [
        ({"image": None}, {}, "Unit 1 is on but has no reference"),
        ({"gamma": 2}, {}, "gamma is 2; a number from 0 to 1 is allowed"),
        ({"adain": 3}, {}, "adain is 3; true, false or a number from 0 to 1 is allowed"),
        ({"steps_of_inversion": 2.5}, {}, "a whole number from 0 to 1000 is allowed"),
        ({"schedule": "official"}, {}, "one of 'sampler', 'published' is allowed"),
        ({"schedule": "published"}, {"steps": 7}, "has no 7 steps"),
        ({"schedule": "published"}, {"denoising_strength": 0.5}, "set Denoising strength to 1"),
        ({"crop": "tiles"}, {}, "one of 'center', 'stretch' is allowed"),
    ],
)
def test_what_cannot_be_had_is_refused(webui, unit, fields, sentence):
    answer = run(webui, unit={**UNIT, **unit}, expect=422, **fields)
    assert sentence in answer.body["detail"]


def test_txt2img_is_refused(webui):
    answer = webui.txt2img(expect=422, **style(UNIT))
    assert answer.body["detail"] == (
        "unit 1: method is 'styleid', which needs a picture to change; use it in img2img."
    )


def test_two_of_them_are_refused(webui):
    answer = webui.img2img(CONTENT, expect=422, **FIELDS, **style(UNIT, UNIT))
    assert "unit 2 works on self-attention too" in answer.body["detail"]


def test_an_inpainting_checkpoint_is_refused(webui):
    webui.use("tiny_sd15_inpaint.")
    assert "inpainting checkpoint" in run(webui, expect=422).body["detail"]


def test_token_merging_is_refused(webui):
    webui.shared.opts.data["token_merging_ratio"] = 0.4
    assert "token merging" in run(webui, expect=422).body["detail"]


def test_a_sampler_of_other_levels_is_said(webui, said):
    run(webui, sampler_name="DPM++ 2M")
    assert "takes the noise levels of DPM++ 2M" in said[0]


# -- what it shows -------------------------------------------------------------------------------


def roundtrip(webui, image):
    """A picture as the checkpoint's own VAE gives it back; this one is of random numbers."""
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None] / 127.5
    decoded = webui.sd_model.decode_first_stage(webui.sd_model.encode_first_stage(pixels - 1))
    return ((decoded[0].permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).numpy()


def moments(image):
    """Mean and deviation of each channel, [2, 3]."""
    return np.stack([image.mean((0, 1)), image.std((0, 1))])


def edges(image):
    grey = image.mean(-1)
    return np.hypot(*np.gradient(grey)).ravel()


def test_colours_go_to_the_style_and_edges_stay_with_the_content(webui):
    """Without network weights: distance of the channels' moments, correlation of edges."""
    content, reference = (roundtrip(webui, image) for image in (CONTENT, STYLE))
    fields = {"steps": 10, "sampler_name": "DDIM", **LARGE}
    full, half, none, unstyled = (
        np.asarray(run(webui, unit={**UNIT, **change}, **fields).images[0], dtype=float)
        for change in ({}, {"adain": 0.5}, {"adain": 0}, {"adain": 0, "start": 1})
    )

    def colour(image):
        return np.linalg.norm(moments(image) - moments(reference), axis=1).sum()

    def like(image, other):
        return np.corrcoef(edges(image), edges(other))[0, 1]

    assert colour(full) < colour(half) - 0.1 < colour(none) - 0.2 < colour(unstyled) - 0.3
    assert like(full, content) > like(full, reference) + 0.05
    assert like(full, content) > like(unstyled, content) + 0.15  # the content's queries hold it


def test_infotext_brings_the_reference_back(webui):
    from lib_instantstyle.hosts import own_folder

    shutil.rmtree(own_folder() / "references", ignore_errors=True)
    styled = run(webui)
    again = webui.img2img(CONTENT, **FIELDS, infotext=styled.infotexts[0])
    assert again.pixels == styled.pixels
