"""The requests in docs/recipes.md, whole, where the WebUI has the extensions that they name."""

import base64
import io
import shutil
from pathlib import Path

import pytest
import requests
import torch

from tests.webui.client import SMALL, difference, reference
from tests.webui.control_models import FACE
from tests.webui.controlnet import in_its_words, is_built_in, needs_models
from tests.webui.recipes import LORA, recipes, with_pictures
from tests.webui.ways import INIT, VISIBLE, encoded, left_half

PICTURES = {
    "STYLE": reference("coffee.jpg"),
    "CONTENT": INIT,
    "FACE": INIT,
    "MASK": encoded(left_half()),
}
SIZE = {name: SMALL[name] for name in ("steps", "width", "height")}
GENERATIONS = [
    pytest.param(body, id=title)
    for title, bodies in recipes().items()
    for body in bodies
    if "alwayson_scripts" in body
]


@pytest.fixture(scope="module", autouse=True)
def named_files(client):
    """The saved style and the LoRA that the requests name."""
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    if "clip" not in {style["name"] for style in client.get("/instantstyle/styles")["styles"]}:
        embed = next(b for bodies in recipes().values() for b in bodies if "name" in b)
        client.post("/instantstyle/embed", with_pictures(embed, PICTURES)).raise_for_status()
    path = next((Path(x["path"]) for x in loras(client) if x["name"] == "tiny_b-lora_sdxl"), None)
    if path and not path.with_stem(LORA).exists():
        shutil.copyfile(path, path.with_stem(LORA))
        client.post("/sdapi/v1/refresh-loras", {}).raise_for_status()


def loras(client):
    """Those that the WebUI's own extension lists."""
    try:
        return client.get("/sdapi/v1/loras")
    except requests.HTTPError:
        return []


@pytest.mark.parametrize("body", GENERATIONS)
def test_a_recipe(client, body):
    body = _without_tiled_diffusion(client, body)
    needed = [name.lower() for name in body["alwayson_scripts"]]
    missing = [name for name in needed if not client.has_script(name)]
    if missing:
        pytest.skip(f"NOT RUN: the WebUI has no {' and no '.join(missing)}")
    fields = with_pictures({**body, **SIZE, "seed": 7, "sampler_name": "Euler"}, PICTURES)
    if LORA in str(body) and not loras(client):
        pytest.skip("NOT RUN: the WebUI has no LoRAs")
    scripts = dict(fields.pop("alwayson_scripts"))
    control = scripts.get("ControlNet", {}).get("args", [])
    if control:
        needs_models(client, *(unit["model"] for unit in control))
        for unit in control:
            _without_insightface(unit, is_built_in(client))
        scripts["ControlNet"] = {"args": in_its_words(client, control)}
    mode = "img2img" if "init_images" in fields else "txt2img"
    ours = scripts.pop("InstantStyle")["args"]
    without = client.generate(mode=mode, alwayson_scripts=scripts, **fields)
    whole = client.generate(*ours, mode=mode, alwayson_scripts=scripts, **fields)
    assert without.status == whole.status == 200, whole.detail
    assert difference(without.images[0], whole.images[0]) > VISIBLE
    for number, unit in enumerate(ours, start=1):
        line = whole.infotexts[0].split(f"InstantStyle {number}: ")[1]
        assert unit.get("method", "adapter: ") in line
    if control:
        structured = client.generate(*ours, mode=mode, **fields)
        assert difference(structured.images[0], whole.images[0]) > VISIBLE


def _without_tiled_diffusion(client, body):
    """As the document says for who does not have that extension."""
    scripts = dict(body["alwayson_scripts"])
    if not scripts.pop("Tiled Diffusion", None) or client.has_script("tiled diffusion"):
        return body
    return {**body, "alwayson_scripts": scripts, "denoising_strength": 0.8}


def _without_insightface(unit, built_in):
    """Hand the face's embedding over; its key points are the picture itself.

    The built-in ControlNet takes no embedding: `controlnet_probe` makes one up there.
    """
    if unit["module"] == "instant_id_face_embedding" and not built_in:
        buffer = io.BytesIO()
        torch.save(torch.randn(1, FACE, generator=torch.Generator().manual_seed(1)), buffer)
        unit["ipadapter_input"] = base64.b64encode(buffer.getvalue()).decode()
        unit.pop("image")
    elif unit["module"] == "instant_id_face_keypoints":
        unit["module"] = "none"
