"""No path on the server is opened because a request named it.

Python says of every file that it opens and every folder that it lists; a file beside the WebUI's
folders, whole and of the right kind, is named in every field of every route.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.host.generations import PICTURES, UNIT, style
from tests.units import FIELDS

HIDDEN = "not-for-strangers"
FOLDERS = ("os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename", "shutil.rmtree")
# What a picture, a saved style, an adapter or a LoRA may be named in.
NAMING = ("image", "style", "adapter", "lora", "negative_image", "mask", "reference_mask")

_seen: list[list[str]] = []


def _note(event, arguments):
    if _seen and (event == "open" or event in FOLDERS):
        _seen[-1].append(str(arguments[0]))


@pytest.fixture(scope="module", autouse=True)
def watch():
    sys.addaudithook(_note)  # it cannot be taken off again, and idles outside `opened`


@contextmanager
def opened():
    """The hidden files and folders that are opened in this block."""
    _seen.append([])
    found: list[str] = []
    try:
        yield found
    finally:
        found += [path for path in _seen.pop() if HIDDEN in path]


@pytest.fixture
def webui(webui):
    """Where a request may name an address, of this machine too."""
    webui.shared.opts.data.update(api_enable_requests=True, api_forbid_local_requests=False)
    return webui


@pytest.fixture
def names(webui, tmp_path):
    """The ways to write where a picture, an adapter and a saved style lie that are nobody's."""
    from modules import paths_internal

    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.styles.library import library

    folder = tmp_path / HIDDEN
    folder.mkdir()
    models = Path(paths_internal.models_path)
    shutil.copy(PICTURES / "coffee.jpg", folder / "picture.jpg")
    adapter = next(p for p in models.rglob("ip-adapter_sd15.safetensors"))
    shutil.copy(adapter, folder / "adapter.safetensors")
    webui.post("/instantstyle/embed", {**UNIT, "name": "ink"})
    library(TABLE).find("ink").path.rename(folder / "style.safetensors")
    up = "../" * 20
    return [
        text
        for name in ("picture.jpg", "adapter.safetensors", "style.safetensors")
        for path in (folder / name, folder / Path(name).stem)
        for text in (f"{path}", f"file://{path}", f"{up}{str(path)[1:]}")
    ]


def test_the_watch_sees_what_is_opened(names):
    with opened() as found:
        Path(names[0]).read_bytes()
        list(Path(names[0]).parent.iterdir())
    assert len(found) == 2


@pytest.mark.parametrize("field", list(FIELDS))
def test_a_plan_opens_nothing_that_a_field_names(webui, names, field):
    with opened() as found:
        for start in range(0, len(names), 9):
            units = [{**UNIT, field: name} for name in names[start : start + 9]]
            if field == "style":
                units = [{field: unit[field]} for unit in units]
            assert webui.post("/instantstyle/plan", {"units": units}).status_code == 200
    assert found == []


@pytest.mark.parametrize("field", NAMING)
def test_no_other_route_and_no_picture_opens_it(webui, names, field):
    method = {"method": "b-lora"} if field == "lora" else {}
    with opened() as found:
        for name in names:
            unit = {**({} if field == "style" else UNIT), **method, field: name}
            assert webui.txt2img(expect=None, **style(unit)).status == 422
            for path, more in (("embed", {"name": "new"}), ("content", {"count": 0})):
                answer = webui.post(f"/instantstyle/{path}", {**unit, **more})
                assert answer.status_code == 422, (path, field, name)
    assert found == []


def test_neither_a_name_to_save_under_nor_a_tag_is_a_path(webui, names):
    before = webui.txt2img().pixels
    with opened() as found:
        for name in names:
            answer = webui.post("/instantstyle/embed", {**UNIT, "name": name})
            assert answer.status_code == 422 and "name" in answer.json()["detail"]
            prompt = f"a cat <instantstyle:{name}:1>"
            assert webui.txt2img(expect=None, prompt=prompt).status == 422
            written = f'a cat\nSteps: 3, InstantStyle 1: "style: {name}, image: {name}"'
            webui.txt2img(expect=None, infotext=written)
    assert found == []
    assert webui.txt2img().pixels == before
