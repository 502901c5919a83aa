"""Our part of the requests in docs/recipes.md, in the miniature, which has no ControlNet."""

import base64
import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.host.generations import PICTURES
from tests.webui.recipes import LORA, recipes, with_pictures

SMALL = {"steps": 3, "width": 64, "height": 64, "seed": 7}
GENERATIONS = [
    pytest.param(body, id=title)
    for title, bodies in recipes().items()
    for body in bodies
    if "alwayson_scripts" in body
]


def encoded(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="module")
def pictures():
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    coffee, stars = (Image.open(PICTURES / name) for name in ("coffee.jpg", "deep_field.jpg"))
    small = encoded(stars.convert("RGB").resize((64, 64)))
    return {"STYLE": encoded(coffee), "CONTENT": small, "FACE": small, "MASK": encoded(mask)}


@pytest.fixture(scope="module")
def webui(session, pictures):
    """With the saved style and the LoRA that the requests name."""
    from modules import paths_internal

    session.use("tiny_sdxl.")
    folder = Path(paths_internal.models_path) / "Lora"
    lora = folder / f"{LORA}.safetensors"
    shutil.copyfile(folder / "tiny_b-lora_sdxl.safetensors", lora)
    (embed,) = [
        body for bodies in recipes().values() for body in bodies if "alwayson_scripts" not in body
    ]
    answer = session.post("/instantstyle/embed", with_pictures(embed, pictures))
    assert answer.status_code == 200, answer.text
    yield session
    lora.unlink()
    style = Path(paths_internal.models_path) / "InstantStyle" / "styles" / f"{embed['name']}"
    style.with_suffix(".safetensors").unlink()


@pytest.mark.parametrize("body", GENERATIONS)
def test_a_dry_run_finds_no_problem(webui, pictures, body):
    answer = webui.post("/instantstyle/plan", with_pictures(body, pictures)).json()
    assert answer["problems"] == []
    assert len(answer["units"]) == len(body["alwayson_scripts"]["InstantStyle"]["args"])
    assert all(unit["problems"] == [] and unit["blocks"] for unit in answer["units"])


@pytest.mark.parametrize("body", GENERATIONS)
def test_our_part_makes_a_picture(webui, pictures, body):
    """Sizes and steps are other ones, and what is not ours is left out."""
    fields = with_pictures({**body, **SMALL}, pictures)
    ours = {"InstantStyle": fields.pop("alwayson_scripts")["InstantStyle"]}

    def make(**more):
        if "init_images" in fields:
            return webui.img2img(None, **fields, **more)
        return webui.txt2img(**fields, **more)

    plain, styled = make(), make(alwayson_scripts=ours)
    assert styled.pixels != plain.pixels
    for number in range(len(ours["InstantStyle"]["args"])):
        assert f"InstantStyle {number + 1}: " in styled.infotexts[0]
