"""Clients that people use, and the examples in docs/api.md, against a running WebUI."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import webuiapi
from PIL import Image

from tests.units import PAGE_FIELDS, PAGE_PICTURES
from tests.webui.client import PICTURES, SMALL, difference, reference
from tests.webui.ways import VISIBLE

ROOT = Path(__file__).parents[2]
UNIT = {"image": reference()}
EXAMPLES = re.findall(r"```(sh|python)\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)
API_EXAMPLES = [(kind, code) for kind, code in EXAMPLES if "127.0.0.1" in code]


# -- webuiapi ------------------------------------------------------------------------------------


@pytest.fixture
def api(webui):
    return webuiapi.WebUIApi(baseurl=f"{webui}/sdapi/v1", sampler="Euler", steps=3)


FIELDS = {"prompt": SMALL["prompt"], "seed": 7, "width": 64, "height": 64}


def pixels(result):
    return result.image.convert("RGB").tobytes()


def test_webuiapi_sends_units_and_its_later_calls_are_plain(api):
    plain = api.txt2img(**FIELDS)
    styled = api.txt2img(**FIELDS, alwayson_scripts={"InstantStyle": {"args": [UNIT]}})
    assert pixels(styled) != pixels(plain)
    assert "InstantStyle 1" in styled.info["infotexts"][0]
    # Its default for alwayson_scripts is one object for all calls.
    again = api.txt2img(**FIELDS)
    assert pixels(again) == pixels(plain) and "InstantStyle" not in again.info["infotexts"][0]


def test_webuiapi_pictures_and_empty_values(api):
    picture = Image.open(PICTURES / "coffee.jpg").convert("RGB")
    for text in (webuiapi.b64_img(picture), webuiapi.raw_b64_img(picture)):
        unit = {"image": text, "style": "", "mask": None, "adapter": "", "content": ""}
        result = api.txt2img(**FIELDS, alwayson_scripts={"InstantStyle": {"args": [unit]}})
        assert "InstantStyle 1" in result.info["infotexts"][0]
    for args in ([], [""], [None]):
        result = api.txt2img(**FIELDS, alwayson_scripts={"InstantStyle": {"args": args}})
        assert "InstantStyle" not in result.info["infotexts"][0]
    # What it sends for a picture that was forgotten.
    with pytest.raises(RuntimeError, match="has no reference"):
        api.txt2img(**FIELDS, alwayson_scripts={"InstantStyle": {"args": [{"image": ""}]}})


def test_webuiapi_img2img(api):
    picture = Image.open(PICTURES / "deep_field.jpg").convert("RGB").resize((64, 64))
    results = [
        api.img2img([picture], **FIELDS, alwayson_scripts=scripts)
        for scripts in ({}, {"InstantStyle": {"args": [UNIT]}})
    ]
    assert pixels(results[0]) != pixels(results[1])


# -- what forwards arguments ---------------------------------------------------------------------


def page_arguments(client, mode="txt2img"):
    """The values of the page's controls with a reference in the first unit, as its script gets
    them and hands them on."""
    scripts = client.get("/sdapi/v1/script-info")
    info = next(
        s for s in scripts if s["name"] == "instantstyle" and s["is_img2img"] == (mode == "img2img")
    )
    values = [control["value"] for control in info["args"]]
    values[0] = True
    units = (len(values) - 1) // (len(PAGE_FIELDS) + len(PAGE_PICTURES))
    values[1 + units * len(PAGE_FIELDS) + PAGE_PICTURES.index("image")] = reference()
    return values


@pytest.mark.parametrize("mode", ["txt2img", "img2img"])
def test_the_pages_values_forwarded_as_json_make_the_same_picture(client, mode):
    """stable-diffusion-webui-distributed reads the arguments of a generation in `before_process`
    and sends them to other WebUIs as they are."""
    values = page_arguments(client, mode)
    forwarded = json.loads(json.dumps(values))
    assert forwarded == values
    fields = {"mode": mode}
    if mode == "img2img":
        fields |= {"init_images": [reference("deep_field.jpg")], "denoising_strength": 0.8}
    here = client.generate(UNIT, **fields)
    there = client.generate(args=forwarded, **fields)
    assert there.status == 200, there.detail
    assert difference(here.images[0], there.images[0]) == 0
    assert difference(here.images[0], client.generate(**fields).images[0]) > VISIBLE


# -- docs/api.md -----------------------------------------------------------------------------------


def test_the_api_document_shows_curl_python_and_webuiapi():
    assert [kind for kind, _ in API_EXAMPLES] == ["sh", "python", "python", "sh"]
    assert "curl" in API_EXAMPLES[0][1] and "webuiapi" in API_EXAMPLES[2][1]


@pytest.mark.parametrize("number", range(len(API_EXAMPLES)))
def test_an_example_does_what_the_api_document_says(webui, number, tmp_path):
    kind, code = API_EXAMPLES[number]
    if kind == "sh" and not shutil.which("curl"):
        pytest.skip("there is no curl to run the example with")
    Image.open(PICTURES / "coffee.jpg").save(tmp_path / "reference.png")
    code = code.replace("http://127.0.0.1:7860", webui)
    code = code.replace('host="127.0.0.1", port=7860', f'baseurl="{webui}/sdapi/v1"')
    # Small pictures: the examples' own sizes and steps are for real machines.
    code = code.replace('"prompt": "a cat"', '"prompt": "a cat", "width": 64, "height": 64')
    code = code.replace('prompt="a cat"', 'prompt="a cat", width=64, height=64')
    code = re.sub(r'("?steps"?\s*[:=] ?)20', r"\g<1>2", code)
    run = ["bash", "-euc", code] if kind == "sh" else [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    if "plan" in code:
        assert json.loads(done.stdout)["units"][0]["adapter"]
    elif kind == "sh":
        answer = json.loads(done.stdout)
        assert "InstantStyle 1" in json.loads(answer["info"])["infotexts"][0]
        assert Image.open(io.BytesIO(base64.b64decode(answer["images"][0]))).size == (64, 64)
    else:
        made = Image.open(tmp_path / "styled.png")
        assert made.size == (64, 64)
        if "requests" in code:  # webuiapi leaves infotext out of what it saves
            assert "InstantStyle 1" in made.info["parameters"]
