"""Writes what `kept/` holds: `python -m tests.host.written_before`, where Gradio 3.41 is.

It did so with version 0.1.0 of the extension, as of commit 187083e, and refuses any other: what a
later version writes proves nothing about it. What a later one is to keep goes into another folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from PIL import Image

from lib_instantstyle import __version__
from tests.host.written_before import asked, seen
from tests.host.written_before.compared import distance
from tests.miniature import harness
from tests.miniature.harness import Answer

ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "tests" / "pictures"
VERSION = "0.1.0"

CHANGED = {  # starting values of the page that a user changed, by end of the id
    "unit_1_weight": 0.6,
    "unit_1_preset": "style+layout",
    "unit_1_layout_weight": 0.35,
    "unit_1_blocks": "3:0.5",
    "unit_1_content": "a cup",
    "unit_1_content_mode": "projection",
    "unit_1_method": "swap",
    "unit_1_report": True,
    "unit_1_steps_of_inversion": 12,
    "unit_1_shared_shift": 0.25,
    "unit_2_enabled": True,
    "unit_2_weight": 0.3,
    "unit_2_time_curve": "peak",
    "unit_3_crop": "tiles",
    "unit_3_end": 0.75,
}


def write(name: str, value: Any) -> None:
    path = seen.KEPT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [*_lines(value)]
    path.write_text("".join(lines), encoding="utf8")


def _lines(value: Any) -> Iterator[str]:
    """Its outermost entries a line each: short enough, and one can read it."""
    begin, end = "{}" if isinstance(value, dict) else "[]"
    entries = [*value.items()] if isinstance(value, dict) else [*value]
    yield f"{begin}\n"
    for place, entry in enumerate(entries, start=1):
        comma = "," if place < len(entries) else ""
        if isinstance(value, dict):
            yield f"{_short(entry[0])}: {_short(entry[1])}{comma}\n"
        else:
            yield f"{_short(entry)}{comma}\n"
    yield f"{end}\n"


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def positional(webui, cup: str, stars: str) -> list[Any]:
    """The page's values as it starts, with two units filled in."""
    given = {
        "enabled-checkbox": True,
        "unit_1_weight": 0.8,
        "unit_1_preset": "style+layout",
        "unit_1_layout_weight": 0.3,
        "unit_1_embeds_scaling": "K+V",
        "unit_1_end": 0.9,
        "unit_1_image": cup,
        "unit_2_enabled": True,
        "unit_2_blocks": "9:1; 5:0.5",
        "unit_2_crop": "pad",
        "unit_2_image": json.dumps([stars, {"image": cup, "weight": 0.5}]),
        "unit_2_mask": asked.half((0, 0, 31, 15)),
    }
    values = []
    for x in webui.script("InstantStyle").controls:
        name = x.elem_id.replace("script_txt2img_instantstyle_", "")
        values.append(given.pop(name, x.value))
    assert not given
    return values


def strip(pictures: list[Image.Image]) -> Image.Image:
    """All pictures of an answer side by side."""
    wide = Image.new("RGB", (sum(x.width for x in pictures), pictures[0].height))
    left = 0
    for picture in pictures:
        wide.paste(picture, (left, 0))
        left += picture.width
    return wide


def styles(webui, cup: str, stars: str) -> None:
    """`ink` with SDXL's encoder, `wash` with that of SD1.5, two references and settings."""
    _save(webui, "ink", "tiny_sdxl", {"image": cup})
    two = [{"image": stars, "weight": 0.8}, cup]
    own = {"preset": "original", "weight": 0.7, "crop": "pad", "combine": "average"}
    _save(webui, "wash", "tiny_sd15", {"image": two, **own})
    shutil.copytree(seen.own_folder() / "styles", seen.KEPT / "styles")


def _save(webui, name: str, checkpoint: str, request: dict) -> None:
    seen.use(webui, checkpoint)
    response = webui.post("/instantstyle/embed", {"name": name, **request})
    assert response.status_code == 200, response.text
    answer = response.json()
    del answer["created"]
    header = seen.style_header(seen.own_folder() / "styles" / f"{name}.safetensors")
    kept = {"checkpoint": checkpoint, "request": request, "answer": answer, "header": header}
    write(f"saved/{name}.json", kept)


def generations(webui, requests: dict[str, asked.Request]) -> dict[str, Image.Image]:
    made = {}
    starts = seen.starting(seen.read("page.json"))
    for name in sorted(requests):
        request = requests[name]
        file = f"{name.replace(' ', '-')}.json"
        response = seen.send(webui, request)
        assert response.status_code == 200, (name, response.text)
        answer = Answer(200, response.json())
        write(f"requests/{file}", request)
        infotexts = answer.infotexts
        kept = {"infotexts": infotexts, "plan": seen.plan(webui, request)}
        kept["pasted"] = seen.told_apart(seen.pasted(infotexts[0], "txt2img"), starts)
        write(f"answers/{file}", kept)
        made[name] = strip(answer.images)
        path = seen.KEPT / "pictures" / file.replace(".json", ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        made[name].save(path, optimize=True)
        if name in ("sdxl report", "sd15 strong style"):
            write(f"reports/{file}", webui.post("/instantstyle/report", {}).json())
    return made


def refused(webui, requests: dict[str, asked.Request]) -> None:
    kept = {}
    for name, request in requests.items():
        response = seen.send(webui, request)
        assert response.status_code == 422, (name, response.text)
        plan = seen.plan(webui, request)
        kept[name] = {"request": request, "answer": response.json(), "plan": plan}
    write("refused.json", kept)


def changed_defaults(webui) -> None:
    """Of one tab all that the page writes, of the other what was changed."""
    seen.config_file(webui).unlink()
    webui.reload_ui()
    before = seen.defaults(webui)
    given = {f"script_{tab}_instantstyle_{k}": v for tab in seen.TABS for k, v in CHANGED.items()}
    webui.press("ui_defaults_apply", **given)
    after = seen.defaults(webui)
    write("ui-config.json", {k: v for k, v in after.items() if "/txt2img/" in k or v != before[k]})
    write("ui-config-ids.json", given)


def main() -> None:
    """Write everything anew, and say what resembles what."""
    if __version__ != VERSION:
        raise SystemExit(f"this is {__version__}; {VERSION} wrote what is kept")
    webui = harness.session()
    webui.add_extension(ROOT)
    shutil.rmtree(seen.KEPT, ignore_errors=True)
    cup = asked.small(Image.open(PICTURES / "coffee.jpg"))
    stars = asked.small(Image.open(PICTURES / "deep_field.jpg"))
    write("models.json", seen.models(webui))
    for name, look in (("page", seen.components), ("positions", seen.positions)):
        of_tabs = [look(webui, tab) for tab in seen.TABS]
        assert of_tabs[0] == of_tabs[1]
        write(f"{name}.json", of_tabs[0])
    write("settings.json", seen.settings(webui))
    write("openapi.json", seen.described(webui))
    values = positional(webui, cup, stars)
    styles(webui, cup, stars)
    made = generations(webui, asked.requests(cup, stars, values))
    shutil.copytree(seen.own_folder() / "references", seen.KEPT / "references")
    refused(webui, asked.refusals(cup))
    for route in seen.ROUTES:
        write(f"routes/{route}.json", seen.answer(webui, route))
    for route in seen.ROUTES_OF_CHECKPOINTS:
        for checkpoint in seen.CHECKPOINTS:
            write(f"routes/{route}-{checkpoint}.json", seen.answer(webui, route, checkpoint))
    seen.use(webui, "tiny_sdxl")
    write("axes.json", seen.axes(webui))
    asked_of = {"image": cup, "content": "a cup | a table", "count": 0}
    response = webui.post("/instantstyle/content", asked_of)
    write("content.json", {"request": asked_of, "answer": response.json()})
    changed_defaults(webui)
    near = sorted((distance(made[a], made[b]), a, b) for a, b in combinations(made, 2))
    for levels, a, b in near[:12]:
        print(f"{levels:6.2f} levels between {a!r} and {b!r}")
    size = sum(path.stat().st_size for path in seen.KEPT.rglob("*") if path.is_file())
    print(f"{len(made)} requests, {size:,} bytes")


if __name__ == "__main__":
    main()
