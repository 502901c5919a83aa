"""A plan of a whole request: what of it makes units, and for which checkpoint."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PIL import Image

from lib_instantstyle.methods import TABLE
from tests.host.generations import UNIT, picture, style
from tests.host.plans import agreed
from tests.miniature import harness

pytestmark = pytest.mark.usefixtures("all_checkpoints_in_memory")


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


@pytest.fixture
def saved(webui):
    """A saved style, "stars"."""
    from lib_instantstyle.styles.library import library

    stars = {"name": "stars", "image": picture("deep_field.jpg")}
    response = webui.post("/instantstyle/embed", stars)
    assert response.status_code == 200, response.text
    yield
    for each in library(TABLE).styles():
        each.path.unlink()


def plan(webui, **request):
    response = webui.post("/instantstyle/plan", request)
    assert response.status_code == 200, response.text
    return response.json()


def test_tags_in_the_prompt_are_units_after_the_others(webui, saved):
    answer = plan(webui, prompt="a cat <instantstyle:stars:0.5:preset=layout>", **style(UNIT))
    first, second = answer["units"]
    assert (first["unit"], first["style"]) == (1, None)
    assert (second["unit"], second["style"]) == (2, "stars")
    assert [(block["index"], block["weight"]) for block in second["blocks"]] == [(3, 0.5)]
    assert answer["problems"] == []


def test_tags_alone_are_enough(webui, saved):
    request = {"prompt": "a cat <instantstyle:stars>", "steps": 2}
    assert agreed(webui, request) == []
    assert [unit["style"] for unit in plan(webui, **request)["units"]] == ["stars"]
    assert "no unit was sent" in plan(webui, prompt="a cat")["problems"][0]


def test_hires_fix_has_the_tags_of_its_own_prompt(webui, saved):
    hires = {"enable_hr": True, "hr_prompt": "a cat <instantstyle:stars>"}
    (unit,) = plan(webui, prompt="a cat", steps=2, **hires)["units"]
    assert (unit["steps"], unit["hires_steps"]) == ([], [1, 2])


@pytest.mark.parametrize(
    ("prompts", "sentence"),
    [
        ({"prompt": "a cat <instantstyle:moon>"}, "moon"),
        ({"prompt": "a cat <instantstyle:stars:lots>"}, "the weight is"),
        ({"prompt": "", "negative_prompt": "<instantstyle:stars>"}, "in the negative prompt"),
    ],
)
def test_tags_that_are_refused_are_problems(webui, saved, prompts, sentence):
    (problem,) = agreed(webui, {**prompts, "steps": 2, **style(UNIT)})
    assert sentence in problem


def test_a_plan_is_for_the_checkpoint_that_the_request_names(webui):
    other = {"sd_model_checkpoint": "tiny_sd15.safetensors"}
    answer = plan(webui, prompt="a cat", override_settings=other, **style(UNIT))
    assert (answer["checkpoint"], answer["layout"]) == ("tiny_sd15.safetensors", "sd15")
    assert answer["in_memory"] is False
    assert answer["units"][0]["adapter"] == "ip-adapter_sd15"
    unknown = {"sd_model_checkpoint": "no such checkpoint"}  # the WebUIs pass over it
    answer = plan(webui, prompt="a cat", override_settings=unknown, **style(UNIT))
    assert answer["checkpoint"] == "tiny_sdxl.safetensors" and answer["in_memory"] is True


def test_a_leak_meter_without_an_image_encoder_is_a_problem(webui, saved, monkeypatch):
    """The style needs none; the meter does."""
    from lib_instantstyle.hosts import context

    def no_encoders(folders):
        from dataclasses import replace

        from lib_instantstyle.models.catalog import scan

        return replace(scan(folders), image_encoders=())

    monkeypatch.setattr(context, "scan", no_encoders)
    unit = {"style": "stars", "leak_meter": True}
    (problem,) = agreed(webui, {"prompt": "a cat", "steps": 2, **style(unit)})
    assert "leak_meter is on, but the image encoder" in problem


# -- as the WebUI reads it -----------------------------------------------------------------------


@pytest.fixture
def prompt_style(webui, monkeypatch):
    """A line of styles.csv whose prompt has a tag, and one whose negative prompt has."""
    from modules import shared, styles

    known = shared.prompt_styles.styles
    tag = "<instantstyle:stars>"
    monkeypatch.setitem(
        known, "Water", styles.PromptStyle("Water", f"{{prompt}}, watercolour {tag}", "")
    )
    monkeypatch.setitem(known, "Never", styles.PromptStyle("Never", "", f"blurry {tag}"))


def test_a_tag_in_a_prompt_style_is_a_unit(webui, saved, prompt_style):
    request = {"prompt": "a cat", "styles": ["Water"], "steps": 2}
    assert agreed(webui, request) == []
    assert [unit["style"] for unit in plan(webui, **request)["units"]] == ["stars"]
    hires = plan(webui, **request, enable_hr="true", hr_prompt="a dog")["units"]
    assert [(unit["steps"], unit["hires_steps"]) for unit in hires] == [([1, 2], [1, 2])]
    assert "no unit was sent" in plan(webui, prompt="a cat", styles=["Water ", 3])["problems"][0]


def test_a_tag_in_a_negative_prompt_style_is_refused(webui, saved, prompt_style):
    request = {"prompt": "a cat", "styles": ["Never"], "steps": 2}
    assert "stands in the negative prompt" in agreed(webui, request)[0]


@pytest.mark.parametrize(
    "steps, strength, override, expected",
    [
        (10, 0.3, {}, 4),
        (10, 1.0, {}, 10),
        (10, 0.0, {}, 1),
        (10, 0.3, {"img2img_fix_steps": True}, 10),
        (7, 0.5, {"img2img_fix_steps": False}, 4),
    ],
)
def test_img2img_is_planned_with_the_steps_that_it_executes(
    webui, steps, strength, override, expected
):
    from modules.sd_samplers_common import setup_img2img_steps

    request = {
        "init_images": [picture("coffee.jpg")],
        "steps": steps,
        "denoising_strength": strength,
        "override_settings": override,
    }
    (unit,) = plan(webui, **request, **style(UNIT))["units"]
    assert unit["steps"] == [*range(1, expected + 1)]
    # The WebUI's own count, with the setting as it is for this request.
    asked = SimpleNamespace(steps=steps, denoising_strength=strength)
    count = steps if override.get("img2img_fix_steps") else None
    assert setup_img2img_steps(asked, count)[1] + 1 == expected


def test_a_range_without_a_step_of_img2img_is_idle(webui):
    request = {"init_images": [picture("coffee.jpg")], "steps": 10, "denoising_strength": 0.3}
    (problem,) = plan(webui, **request, **style({**UNIT, "start": 0.8}))["problems"]
    assert problem == "unit 1: no sampling step of 4 falls between start and end."


@pytest.mark.parametrize("level", [0, 20])
def test_a_black_reference_mask_is_planned_as_it_is_refused(webui, level):
    mask = harness.to_base64(Image.new("L", (64, 64), level))
    (problem,) = agreed(webui, {"steps": 2, **style({**UNIT, "reference_mask": mask})})
    assert "reference_mask is black everywhere" in problem


def test_token_merging_of_the_request_counts(webui):
    unit = {**UNIT, "method": "swap"}
    for override, problems in (({}, 0), ({"token_merging_ratio": 0.5}, 1)):
        answer = plan(webui, steps=2, override_settings=override, **style(unit))
        assert len(answer["problems"]) == problems
