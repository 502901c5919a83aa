"""Content and the WebUI's own text encoders: one vector, and prompts that nothing touches.

Against a real WebUI (see conftest.py) with a LoRA on the text encoder, which the miniature does
not have, and an SD2-like checkpoint. One that runs already needs the extension `text_probe`, and
among its models what text_models.py writes.
"""

import json
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.engine import text_to_leak
from tests.miniature.tiny import make_family
from tests.webui.client import Client, reference
from tests.webui.server import miniature, real
from tests.webui.text_models import LORA, write_lora, write_sd2

PROBE = Path(__file__).parent / "text_probe"
FOLDER = os.environ.get("INSTANTSTYLE_WEBUI")
RUNNING = os.environ.get("INSTANTSTYLE_WEBUI_URL", "").rstrip("/")
UNIT = {"image": reference(), "content": "a cup of coffee", "content_scale": 0.7}
PROMPTS = ["a cat on a table", "(a cat:1.3) AND a dog", f"a cat <lora:{LORA}:1>"]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A WebUI with the probe beside the extension."""
    with started(tmp_path_factory.mktemp("text")) as url:
        yield Client(url)


@contextmanager
def started(data):
    if RUNNING:
        if not Client(RUNNING).has_script("text probe"):
            pytest.skip("NOT RUN: the WebUI has no extension tests/webui/text_probe")
        yield RUNNING
        return
    flags = os.environ.get("INSTANTSTYLE_WEBUI_FLAGS", "").split()
    if not FOLDER:
        with miniature(data, "--extension", f"text_probe={PROBE}", *flags) as url:
            yield url
        return
    python = os.environ.get("INSTANTSTYLE_WEBUI_PYTHON", Path(FOLDER) / "venv" / "bin" / "python")
    make_family(data)
    write_lora(data / "models")
    write_sd2(data / "models")
    with real(Path(FOLDER), Path(python), data, *flags, extensions=[PROBE]) as url:
        yield url


def look(client, *units, **fields):
    """A generation, and what the probe saw in it."""
    scripts = {"Text probe": {"args": [True]}}
    answer = client.generate(*units, alwayson_scripts=scripts, **fields)
    assert answer.status == 200, answer.detail
    probed = answer.info["extra_generation_params"]["Text probe"]
    return answer, json.loads(bytes.fromhex(probed))


def only_real():
    if not (FOLDER or RUNNING):
        pytest.skip("the miniature has no LoRA and no SD2")


def test_the_vector_is_what_the_webui_conditions_sdxl_on(client):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    _, seen = look(client)
    assert seen["width"] == len(seen["own"]) == 256
    np.testing.assert_allclose(seen["vector"], seen["own"], atol=1e-5)
    assert np.linalg.norm(seen["vector"]) > 0.1


def test_many_texts_are_read_as_each_is_alone(client):
    """Many at a time are read only as far as the longest of them goes."""
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    _, seen = look(client)
    many, alone = np.array(seen["many"]), np.array(seen["alone"])
    assert len(many) > 32
    np.testing.assert_allclose(many, alone, atol=1e-5)
    assert np.abs(many - many[0]).max(axis=1)[1:].min() > 1e-2  # each has a vector of its own


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("checkpoint", ["tiny_sdxl", "tiny_sd15"])
def test_no_prompt_is_conditioned_otherwise_with_content(client, checkpoint, prompt):
    if "lora" in prompt or checkpoint == "tiny_sd15":
        only_real()
    client.options(sd_model_checkpoint=f"{checkpoint}.safetensors")
    fields = {"prompt": prompt, "negative_prompt": "(blurry:1.2)"}
    unit = UNIT if checkpoint == "tiny_sdxl" else {"image": UNIT["image"]}
    off, before = look(client, **fields)
    on, during = look(client, unit, **fields)
    again, after = look(client, **fields)
    assert (before["prompt"], before["negative"]) == (during["prompt"], during["negative"])
    assert (before["prompt"], before["negative"]) == (after["prompt"], after["negative"])
    assert off.bytes == again.bytes
    assert np.any(on.images[0] != off.images[0])


def test_the_leak_meter_writes_a_line_for_each_picture(client):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    quiet, _ = look(client, UNIT, batch_size=2, override_settings={"return_grid": False})
    unit = {**UNIT, "leak_meter": True}
    answer, _ = look(client, unit, batch_size=2, override_settings={"return_grid": False})
    lines = [text.split("InstantStyle 1 leak: ")[1] for text in answer.infotexts]
    found = [text_to_leak(line[: line.index('"', 1)]) for line in lines]
    assert len(found) == 2 and found[0] != found[1]
    assert all(set(each) == {"content", "reference"} for each in found)
    assert not any("leak: " in text for text in quiet.infotexts)
    for image, same in zip(answer.images, quiet.images):
        assert np.array_equal(image, same)


def test_content_is_read_without_the_prompts_lora(client):
    only_real()
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    plain, without = look(client, UNIT)
    # The LoRA is active while the probe looks, and still there when the next request begins.
    _, during = look(client, prompt=f"a cat <lora:{LORA}:1>")
    assert np.abs(np.subtract(during["own"], without["own"])).max() > 0.05
    np.testing.assert_allclose(during["vector"], without["vector"], atol=1e-5)
    again, _ = look(client, UNIT)
    assert np.array_equal(again.images[0], plain.images[0])


def test_sd2s_text_encoder_is_run_to_its_end(client):
    only_real()
    names = [model["title"] for model in client.get("/sdapi/v1/sd-models")]
    if not any(name.startswith("tiny_sd2.") for name in names):
        pytest.skip("this WebUI has no tiny_sd2.safetensors")
    client.options(sd_model_checkpoint="tiny_sd2.safetensors")
    _, seen = look(client)
    assert seen["width"] == 256 and seen["own"] is None
    np.testing.assert_allclose(seen["vector"], seen["projected"], atol=1e-5)
    np.testing.assert_allclose(seen["many"], seen["alone"], atol=1e-5)
    # The probe reads before and after; SD2 itself still stops before the last block.
    assert look(client)[1]["prompt"] == seen["prompt"]
