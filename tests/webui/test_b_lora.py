"""B-LoRA beside the LoRAs of the WebUI's own extension, which changes weights in place."""

import os
import re
from pathlib import Path

import pytest
import requests
from safetensors.torch import load_file, save_file

from tests.webui.client import difference
from tests.webui.ways import VISIBLE, WAYS

STYLE_BLOCK, LDM = "up_blocks.0.attentions.1", "output_blocks_1_1"
OURS = {"method": "b-lora", "lora": "tiny_b-lora_sdxl"}
THEIRS = "tiny_style_half"
LEVELS = 0.1  # weights changed once, and the change added each time, are rounded otherwise


@pytest.fixture(scope="module", autouse=True)
def same_lora_for_the_webui(client):
    """The style half in the names that the WebUI's extension reads, with alpha as the rank."""
    try:
        known = {x["name"]: Path(x["path"]) for x in client.get("/sdapi/v1/loras")}
    except requests.HTTPError:
        pytest.skip("NOT RUN: the WebUI has no LoRAs")
    if THEIRS not in known:
        tensors = {}
        for key, tensor in load_file(str(known["tiny_b-lora_sdxl"])).items():
            found = re.fullmatch(rf"unet\.{re.escape(STYLE_BLOCK)}\.(.*)\.lora\.(.*)", key)
            if found:
                name = f"lora_unet_{LDM}_{found[1].replace('.', '_')}"
                tensors[f"{name}.lora_{found[2]}"] = tensor
        save_file(tensors, known["tiny_b-lora_sdxl"].with_stem(THEIRS))
        client.post("/sdapi/v1/refresh-loras", {}).raise_for_status()
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")


def generate(client, *units, theirs=0.0, **fields):
    prompt = "a cat on a table" + (f" <lora:{THEIRS}:{theirs}>" if theirs else "")
    answer = client.generate(*units, prompt=prompt, **fields)
    assert answer.status == 200, answer.detail
    return answer


@pytest.mark.parametrize("way", ["txt2img", "batch 2 x 2", "hires fix", "img2img"])
def test_two_halves_of_a_lora_are_a_whole_one(client, way):
    fields = WAYS[way]
    plain = generate(client, **fields)
    whole = generate(client, OURS, **fields)
    alone = generate(client, theirs=1, **fields)
    halves = generate(client, {**OURS, "weight": 0.5}, theirs=0.5, **fields)
    half = generate(client, {**OURS, "weight": 0.5}, **fields)
    after = generate(client, **fields)
    for i, picture in enumerate(whole.images):
        assert difference(alone.images[i], picture) < LEVELS
        assert difference(halves.images[i], picture) < LEVELS
        assert difference(half.images[i], picture) > VISIBLE
        assert difference(plain.images[i], picture) > VISIBLE
        assert difference(plain.images[i], after.images[i]) < (0.05 if way == "img2img" else 1e-9)


def test_their_picture_is_theirs_again(client):
    """The model is as they left it: nothing of ours stays in a layer or a weight."""
    before = generate(client, theirs=0.7)
    generate(client, OURS, theirs=0.7)
    assert generate(client, theirs=0.7).bytes == before.bytes


def test_a_refiner_with_the_same_blocks_gets_it_too(client):
    """The twin has the same weights, so a LoRA that goes on gives the same picture."""
    models = {x["model_name"]: Path(x["filename"]) for x in client.get("/sdapi/v1/sd-models")}
    if "tiny_sdxl_twin" not in models:
        for suffix in (".safetensors", ".yaml"):
            path = models["tiny_sdxl"].with_suffix(suffix)
            os.link(path, path.with_stem("tiny_sdxl_twin"))
        client.post("/sdapi/v1/refresh-checkpoints", {}).raise_for_status()
    refiner = {"refiner_checkpoint": "tiny_sdxl_twin.safetensors", "refiner_switch_at": 0.25}
    try:
        alone = generate(client, OURS, steps=4)
        refined = generate(client, OURS, steps=4, **refiner)
        first_step = generate(client, {**OURS, "end": 0.25}, steps=4, **refiner)
    finally:
        client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    assert difference(alone.images[0], refined.images[0]) < 0.05
    assert difference(first_step.images[0], refined.images[0]) > VISIBLE
