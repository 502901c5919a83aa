"""The miniature and a real A1111 are asked the same; their answers, hooks and pixels must agree.

Runs where INSTANTSTYLE_WEBUI names the folder of an installed A1111 (see tests/webui/conftest.py).
Prompts are left empty where pixels are compared: the miniature has another tokenizer.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from tests.miniature.harness import PROBE, SMALL, to_base64
from tests.miniature.server import serve
from tests.waiting import HANGS
from tests.webui.server import real

REAL = os.environ.get("INSTANTSTYLE_WEBUI")
pytestmark = pytest.mark.skipif(not REAL, reason="INSTANTSTYLE_WEBUI names no A1111")

ramp = np.linspace(0, 255, 64, dtype=np.uint8)
PHOTO = Image.fromarray(
    np.dstack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], 64), np.full((64, 64), 90, np.uint8)])
)
MASK = Image.new("L", (64, 64))
MASK.paste(255, (16, 16, 48, 48))
LONG = "a very long prompt about " + "cats and dogs " * 80

BASE = {**SMALL, "steps": 3, "prompt": "", "subseed": 5}
INIT = {**BASE, "init_images": [to_base64(PHOTO)]}
PAINT = {**INIT, "mask": to_base64(MASK), "mask_blur": 0, "inpaint_full_res": False}
HIRES = {"enable_hr": True, "denoising_strength": 0.6}
MATRIX = {"script_name": "Prompt matrix", "script_args": [False, False, "positive", "comma", 0]}
INFOTEXT = (
    "a horse\nNegative prompt: fog\n"
    "Steps: 2, Sampler: Heun, CFG scale: 3, Seed: 9, Size: 64x72, Probe note: from text"
)
SIZE = {"hr_resize_x": 128, "hr_resize_y": 96}
SD15 = {"sd_model_checkpoint": "tiny_sd15.safetensors"}
WHERE = {"launch_sampling": "process_before_every_sampling"}

CASES = {
    "plain": BASE,
    "batch": {**BASE, "batch_size": 2, "n_iter": 2},
    "euler a": {**BASE, "sampler_name": "Euler a", "batch_size": 2},
    "heun": {**BASE, "sampler_name": "Heun"},
    "dpm++ 2m": {**BASE, "sampler_name": "DPM++ 2M"},
    "dpm++ 2m karras": {**BASE, "sampler_name": "DPM++ 2M Karras"},
    "ddim": {**BASE, "sampler_name": "DDIM"},
    "ddim with 20 steps": {**BASE, "sampler_name": "DDIM", "steps": 20},
    "sgm uniform": {**BASE, "scheduler": "SGM Uniform"},
    "exponential": {**BASE, "scheduler": "Exponential"},
    "unknown sampler": {**BASE, "sampler_name": "Nobody"},
    "long": {**BASE, "prompt": LONG, "negative_prompt": "blurry", "batch_size": 2},
    "AND": {**BASE, "prompt": "a cat AND a dog :0.5", "batch_size": 2},
    "schedule": {**BASE, "prompt": "a [cat:dog:0.5] AND [big:2] tree", "steps": 6},
    "ngms": {**BASE, "s_min_uncond": 100, "batch_size": 2},
    "cfg 1": {**BASE, "cfg_scale": 1},
    "subseed": {**BASE, "subseed": 7, "subseed_strength": 0.4},
    "seed resize": {**BASE, "seed_resize_from_w": 128, "seed_resize_from_h": 32},
    "eta": {**BASE, "sampler_name": "Euler a", "eta": 0.5},
    "hires latent": {**BASE, **HIRES, "hr_scale": 1.5, "hr_upscaler": "Latent"},
    "hires lanczos": {**BASE, **HIRES, "hr_upscaler": "Lanczos", "hr_second_pass_steps": 2},
    "hires resize": {
        **BASE,
        **HIRES,
        "hr_resize_x": 128,
        "hr_resize_y": 96,
        "hr_sampler_name": "Heun",
    },
    "hires without strength": {**BASE, "enable_hr": True},
    "hires upscaler unknown": {**BASE, **HIRES, "hr_upscaler": "Nobody"},
    "img2img": INIT,
    "img2img weak": {**INIT, "denoising_strength": 0.3, "steps": 8},
    "img2img ddim": {**INIT, "sampler_name": "DDIM", "steps": 8},
    "img2img crop": {**INIT, "width": 96, "resize_mode": 1},
    "img2img fill": {**INIT, "width": 96, "resize_mode": 2},
    "img2img latent": {**INIT, "width": 96, "resize_mode": 3},
    "two sources": {**INIT, "init_images": INIT["init_images"] * 2, "batch_size": 2},
    "noise multiplier": {**INIT, "initial_noise_multiplier": 0.9},
    "inpaint fill": {**PAINT, "inpainting_fill": 0},
    "inpaint original": {**PAINT, "inpainting_fill": 1},
    "inpaint noise": {**PAINT, "inpainting_fill": 2},
    "inpaint nothing": {**PAINT, "inpainting_fill": 3},
    "inpaint ddim": {**PAINT, "inpainting_fill": 1, "sampler_name": "DDIM"},
    "inpaint not masked": {**PAINT, "inpainting_mask_invert": 1},
    "only masked": {**PAINT, "inpaint_full_res": True, "inpaint_full_res_padding": 4, "width": 96},
    "blank mask": {**PAINT, "inpaint_full_res": True, "mask": to_base64(Image.new("L", (64, 64)))},
    "no source": {**BASE, "_route": "img2img"},
    "bad source": {**BASE, "init_images": ["nonsense"]},
    "arguments": {**BASE, "alwayson_scripts": {"probe": {"args": [True, "x", "cut"]}}},
    "object": {**BASE, "alwayson_scripts": {"Probe": {"args": [{"a": 1}]}}},
    "no arguments": {**BASE, "alwayson_scripts": {"Probe": {}}},
    "arguments null": {**BASE, "alwayson_scripts": {"Probe": {"args": None}}},
    "arguments object": {**BASE, "alwayson_scripts": {"Probe": {"args": {"a": 1}}}},
    "unknown script": {**BASE, "alwayson_scripts": {"Nobody": {"args": []}}},
    "selectable script": {**BASE, "alwayson_scripts": {"X/Y/Z plot": {"args": []}}},
    "unknown selectable": {**BASE, "script_name": "Nobody"},
    "bad type": {**BASE, "steps": "many"},
    "infotext": {"infotext": INFOTEXT, "cfg_scale": 5, "subseed": 5},
    "no images": {**BASE, "send_images": False},
    "other checkpoint": {
        **BASE,
        "override_settings": {"sd_model_checkpoint": "tiny_sd15.safetensors"},
    },
    "unknown checkpoint": {**BASE, "override_settings": {"sd_model_checkpoint": "nobody"}},
    "unknown setting": {**BASE, "override_settings": {"nobody": 1}},
    "comment": {**BASE, "prompt": "a cat # not this\nhere"},
    "tag": {**BASE, "prompt": "a cat<nobody:x>"},
    "refiner": {**BASE, "steps": 6, "refiner_checkpoint": "tiny_sd15", "refiner_switch_at": 0.5},
    "matrix": {**BASE, **MATRIX, "prompt": "a cat|AND a dog", "batch_size": 2},
}
PLANS = {
    "raise in process": {"raise_in": "process", "error": "ValueError"},
    **{
        f"{error} from {place}": {
            "replace_at": WHERE.get(place, "process"),
            "replace": [place],
            "error": error,
        }
        for place in ("init", "sample", "launch_sampling")
        for error in ("ProbeError", "ValueError", "gr.Error")
    },
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Addresses of the real one and of the miniature, with the same weights and the probe."""
    data = tmp_path_factory.mktemp("real")
    shutil.copytree(PROBE, data / "extensions" / "probe")
    default = Path(REAL) / "venv" / "bin" / "python"
    python = Path(os.environ.get("INSTANTSTYLE_WEBUI_PYTHON", default))
    with real(Path(REAL), python, data) as theirs:
        miniature = tmp_path_factory.mktemp("miniature")
        with serve(miniature, PROBE, models_dir=data / "models") as ours:
            yield theirs, ours.url


def ask(url: str, body: dict, plan: dict | None = None) -> dict:
    """Status, texts, hooks and pixels of one request."""
    requests.post(f"{url}/probe/plan", json=plan or {}, timeout=HANGS)
    body = dict(body)
    kind = body.pop("_route", "img2img" if "init_images" in body else "txt2img")
    response = requests.post(f"{url}/sdapi/v1/{kind}", json=body, timeout=HANGS)
    answer = response.json()
    found = {"status": response.status_code, "body": None, "pixels": []}
    if response.status_code == 200:
        found["info"] = json.loads(answer["info"])
        found["parameters"] = answer["parameters"]
        found["pixels"] = [
            np.array(Image.open(io.BytesIO(base64.b64decode(x))).convert("RGB"), int)
            for x in answer["images"]
        ]
        del found["info"]["job_timestamp"]
    else:
        found["body"] = answer
    events = requests.get(f"{url}/probe/events", timeout=HANGS).json()
    found["events"] = [x for x in events if x["hook"] != "model_loaded"]
    for event in found["events"]:
        if "object at" in str(event["args"]):
            event["args"] = ""
    return found


def comparable(found: dict) -> dict:
    """Without what may differ: the program's version, hashes of files, seeds drawn at random."""
    text = json.dumps({k: v for k, v in found.items() if k != "pixels"}, sort_keys=True)
    text = re.sub(r"Version: v?[\w.-]+", "Version: 1", text)
    text = re.sub(r"Model hash: \w+", "Model hash: 0", text)
    text = re.sub(r" \[[0-9a-f]{10}\]", "", text)
    known = json.loads(text)
    for name in ("subseed", "all_subseeds", "version", "sd_model_hash"):
        known.get("info", {}).pop(name, None)
    return known


def check(pair, checkpoint: str, body: dict, plan: dict | None = None) -> None:
    for url in pair:
        settings = {"sd_model_checkpoint": f"{checkpoint}.safetensors"}
        settings["live_previews_enable"] = False
        requests.post(f"{url}/sdapi/v1/options", json=settings, timeout=HANGS)
    theirs, ours = (ask(url, body, plan) for url in pair)
    assert comparable(ours) == comparable(theirs)
    assert len(ours["pixels"]) == len(theirs["pixels"])
    if body.get("prompt") or "infotext" in body:
        return
    for mine, other in zip(ours["pixels"], theirs["pixels"], strict=True):
        assert np.abs(mine - other).max() <= 1


@pytest.mark.parametrize("checkpoint", ["tiny_sdxl", "tiny_sd15"])
@pytest.mark.parametrize("case", CASES)
def test_same_answer(pair, checkpoint, case):
    check(pair, checkpoint, CASES[case])


@pytest.mark.parametrize("plan", PLANS)
def test_same_errors(pair, plan):
    check(pair, "tiny_sd15", BASE, PLANS[plan])
