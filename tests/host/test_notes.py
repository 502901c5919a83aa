"""What did not act is said where page and API can read it, and is not written as if it had."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.host.generations import CONTENT, UNIT, difference, style
from tests.miniature import harness

NOTE = "InstantStyle 1 note"


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


def is_plain(answer, plain):
    """The plain picture, and no unit in its infotext."""
    return answer.pixels == plain.pixels and "InstantStyle 1" not in answer.parameters


@pytest.mark.parametrize(
    "unit, why",
    [
        ({"start": 0.8, "end": 0.2}, "start (0.8) is not before end (0.2)"),
        ({"start": 0.5, "end": 0.5}, "start (0.5) is not before end (0.5)"),
        ({"start": 0.8}, "no sampling step falls between start and end"),
        ({"hires_pass": "hires"}, "or none in the passes that hires_pass names"),
        ({"method": "swap", "start": 0.9}, "no sampling step falls between start and end"),
        ({"method": "stylealigned", "start": 0.9}, "no sampling step falls between"),
    ],
)
def test_a_unit_that_changes_nothing_is_said_to(webui, unit, why):
    answer, plain = webui.txt2img(**style({**UNIT, **unit})), webui.txt2img()
    assert is_plain(answer, plain)
    assert answer.parameters[NOTE].startswith("unit 1: it changed nothing") or (
        answer.parameters[NOTE].startswith("unit 1: it changes nothing")
    )
    assert why in answer.parameters[NOTE]
    assert NOTE not in plain.parameters


@pytest.mark.parametrize(
    "unit", [{"weight": 0}, {"image": {**UNIT, "weight": 0}}, {"blocks": "6=0"}]
)
def test_weight_0_is_off_to_the_byte(webui, unit):
    assert webui.txt2img(**style({**UNIT, **unit})).png == webui.txt2img().png


def test_few_steps_of_img2img_are_not_written_as_styled(webui):
    """Ten steps at denoising strength 0.3 are four, and none of these is in the last fifth."""
    request = {"steps": 10, "denoising_strength": 0.3}
    plain = webui.img2img(CONTENT, **request)
    answer = webui.img2img(CONTENT, **request, **style({**UNIT, "start": 0.8}))
    assert is_plain(answer, plain)
    assert "no sampling step falls between start and end" in answer.parameters[NOTE]


def test_the_other_unit_is_written_as_ever(webui):
    answer = webui.txt2img(**style({**UNIT, "start": 0.9}, UNIT))
    alone = webui.txt2img(**style({"enabled": False}, UNIT))
    assert difference(answer.images[0], alone.images[0]) <= 1
    assert "InstantStyle 1" not in answer.parameters
    assert "InstantStyle 2" in answer.parameters
    assert NOTE in answer.parameters and "InstantStyle 2 note" not in answer.parameters


def test_each_batch_has_its_own_notes(webui, monkeypatch):
    """A generation that is skipped before it acts, and then one that is not."""
    from modules import processing, shared

    sampled = processing.StableDiffusionProcessingTxt2Img.sample
    seen = []

    def sample(self, *args, **kwargs):
        if not seen:
            shared.state.skipped = True
        seen.append(True)
        return sampled(self, *args, **kwargs)

    monkeypatch.setattr(processing.StableDiffusionProcessingTxt2Img, "sample", sample)
    first, second = webui.txt2img(n_iter=2, **style(UNIT)).infotexts[-2:]
    assert "the generation was stopped before it acted" in first
    assert "InstantStyle 1: " not in first
    assert "note" not in second
    assert "InstantStyle 1: " in second


def test_a_remark_reaches_the_answer_under_the_unit_that_it_is_about(webui):
    answer = webui.txt2img(cfg_scale=1, **style(UNIT, {**UNIT, "negative_weight": 0.5}))
    assert "at CFG scale 1 there is no negative prompt" in answer.parameters["InstantStyle 2 note"]
    assert "at CFG scale 1" not in answer.parameters.get(NOTE, "")


def test_the_page_is_told_the_same(webui, monkeypatch):
    from modules import processing

    said = []
    monkeypatch.setattr(
        processing.StableDiffusionProcessing, "comment", lambda self, text: said.append(text)
    )
    answer = webui.txt2img(**style({**UNIT, "start": 0.5, "end": 0.5}, {**UNIT, "start": 0.9}))
    notes = [answer.parameters[f"InstantStyle {number} note"] for number in (1, 2)]
    assert said == [f"InstantStyle: {sentence}" for sentence in notes]


def test_a_sampler_that_another_extension_runs_twice_is_styled_twice(webui, monkeypatch):
    from modules import sd_samplers_common

    once = webui.txt2img(**style(UNIT))
    create = sd_samplers_common.Sampler.initialize

    def initialize(self, p):
        launch = self.launch_sampling

        def twice(*args, **kwargs):
            launch(*args, **kwargs)
            self.model_wrap_cfg.step = 0
            return launch(*args, **kwargs)

        self.launch_sampling = twice
        return create(self, p)

    monkeypatch.setattr(sd_samplers_common.Sampler, "initialize", initialize)
    assert webui.txt2img(**style(UNIT)).pixels == once.pixels != webui.txt2img().pixels


def evaluations(webui, monkeypatch, function, **unit):
    """Whether the unit acted in each evaluation of a sampler `function`, in three steps."""
    from modules import sampling

    from lib_instantstyle.unet.call_state import CallState
    from lib_instantstyle.unet.injection import Injection

    seen = []
    before = Injection._before_unet

    def watched(self, *args):
        before(self, *args)
        call: CallState = self._call
        seen.append(call.rows is not None)

    monkeypatch.setattr(sampling, "sample_euler", function)
    monkeypatch.setattr(Injection, "_before_unet", watched)
    webui.txt2img(steps=3, sampler_name="Euler", **style({**UNIT, **unit}))
    return seen


def thrice(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """As Forge's HeunPP2, and not listed as of second order."""
    ones = x.new_ones([len(x)])
    for i in range(len(sigmas) - 1):
        for sigma in sigmas[i : i + 3]:
            if sigma > 0:
                denoised = model(x, sigma * ones, **extra_args)
        callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        x = denoised + (x - denoised) / sigmas[i] * sigmas[i + 1]
    return x


def every_second(model, x, sigmas, extra_args=None, callback=None, disable=None):
    ones = x.new_ones([len(x)])
    for i in range(len(sigmas) - 1):
        if i % 2 == 0:
            denoised = model(x, sigmas[i] * ones, **extra_args)
        callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        x = denoised + (x - denoised) / sigmas[i] * sigmas[i + 1]
    return x


@pytest.mark.parametrize("checkpoint", ["tiny_sd15"])
def test_a_range_means_steps_whatever_a_sampler_evaluates_in_one(webui, monkeypatch):
    assert evaluations(webui, monkeypatch, thrice, end=0.3) == [True] * 3 + [False] * 3
    assert evaluations(webui, monkeypatch, thrice, start=0.3, end=0.6) == [False] * 3 + [
        True,
        True,
        False,
    ]
    assert evaluations(webui, monkeypatch, every_second, start=0.6) == [False, True]


def test_half_of_a_reference_is_half_of_the_unit(webui):
    half = webui.txt2img(**style({**UNIT, "weight": 0.5}))
    own = webui.txt2img(**style({"image": {**UNIT, "weight": 0.5}}))
    averaged = webui.txt2img(**style({"image": {**UNIT, "weight": 0.5}, "combine": "average"}))
    whole = webui.txt2img(**style(UNIT))
    assert difference(half.images[0], own.images[0]) <= 1
    assert difference(half.images[0], averaged.images[0]) <= 1
    assert difference(half.images[0], whole.images[0]) > 2


def test_a_mask_in_tiles_is_said_to_be_repeated(webui, monkeypatch):
    """As in SD upscale, which makes four pictures of one `p`, none of which says where it lies."""
    from modules import processing, scripts

    class Tiles(scripts.Script):
        def title(self):
            return "SD upscale"

        def run(self, p, *args):
            return [processing.process_images(p) for _ in range(2)][-1]

    tiles = Tiles()
    runner = scripts.scripts_img2img
    tiles.args_from = tiles.args_to = len(runner.inputs)
    monkeypatch.setattr(runner, "selectable_scripts", [*runner.selectable_scripts, tiles])
    mask = harness.to_base64(Image.new("L", (64, 64), 255))
    request = {"script_name": "SD upscale", "script_args": []}
    answer = webui.img2img(CONTENT, **request, **style({**UNIT, "mask": mask}))
    assert "the mask is repeated in each of them" in answer.parameters[NOTE]
    request_of_plan = {"init_images": [mask], **request, **style({**UNIT, "mask": mask})}
    (unit,) = webui.post("/instantstyle/plan", request_of_plan).json()["units"]
    assert any("the mask is repeated" in remark for remark in unit["remarks"])
    assert NOTE not in webui.img2img(CONTENT, **request, **style(UNIT)).parameters
