"""A plan of a whole request: what of it makes units, and for which checkpoint."""

from __future__ import annotations

import pytest

from lib_instantstyle.methods import TABLE
from tests.host.generations import UNIT, picture, style
from tests.host.plans import agreed

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
