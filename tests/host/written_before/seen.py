"""What a user, a client or another program sees of the extension, as plain data."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("kept")
ROUTES = "version", "presets", "styles"
ROUTES_OF_CHECKPOINTS = "adapters", "blocks"
CHECKPOINTS = "tiny_sdxl", "tiny_sd15"
TABS = "txt2img", "img2img"
XYZ = "X/Y/Z plot"
_OF_COMPONENTS = ("minimum", "maximum", "step", "visible", "elem_classes", "lines", "placeholder")
# In a plan: whether an earlier request had the same picture, and what is known of it then.
_OF_CACHES = "remembered", "cost"
_IN_WORDS = re.compile(r", seen before|\n  (of reference \d+|before the first step): [^\n]*")


def read(name: str) -> Any:
    return json.loads((KEPT / name).read_text(encoding="utf8"))


def request_names() -> list[str]:
    return sorted(path.stem for path in (KEPT / "requests").glob("*.json"))


def send(webui, request: dict) -> Any:
    """The answer to a kept request; its checkpoint is loaded first."""
    use(webui, request["checkpoint"])
    return webui.post(request["path"], request["body"])


def use(webui, checkpoint: str) -> None:
    webui.shared.opts.data["sd_checkpoints_limit"] = len(CHECKPOINTS)
    webui.use(f"{checkpoint}.")


def plan(webui, request: dict) -> Any:
    """What the dry run says of a kept request."""
    use(webui, request["checkpoint"])
    response = webui.post("/instantstyle/plan", request["body"])
    return {"status": response.status_code, "answer": without_caches(response.json())}


def without_caches(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_caches(v) for k, v in value.items() if k not in _OF_CACHES}
    if isinstance(value, str):
        return _IN_WORDS.sub("", value)
    return [without_caches(item) for item in value] if isinstance(value, list) else value


def answer(webui, route: str, checkpoint: str = "tiny_sdxl") -> Any:
    """What a route that takes no body answers with that checkpoint."""
    use(webui, checkpoint)
    return webui.get(f"/instantstyle/{route}").json()


def described(webui) -> dict[str, Any]:
    """Our part of the OpenAPI description."""
    paths = webui.get("/openapi.json").json()["paths"]
    return {path: each for path, each in paths.items() if path.startswith("/instantstyle")}


def axes(webui) -> list[dict[str, Any]]:
    """Our axes of the plot."""
    return [
        {
            "label": option.label,
            "type": option.type.__name__,
            "cost": option.cost,
            "choices": option.choices() if option.choices else None,
        }
        for option in webui.script(XYZ).current_axis_options
        if option.label.startswith("[InstantStyle")
    ]


def settings(webui) -> dict[str, Any]:
    """Our page of the WebUI's settings: what config.json holds by these names."""
    return {
        key: {"default": info.default, "label": info.label, "section": [*info.section][:2]}
        for key, info in webui.shared.opts.data_labels.items()
        if key.startswith("instantstyle")
    }


def components(webui, tab: str) -> list[dict[str, Any]]:
    """Our part of the page in one tab, in its order; in the ids TAB stands for the tab."""
    begin = f"script_{tab}_instantstyle"
    blocks = webui.demo.blocks.values()
    return [_component(x) for x in blocks if (getattr(x, "elem_id", None) or "").startswith(begin)]


def _component(x: Any) -> dict[str, Any]:
    kind = type(x).__name__
    seen = {"elem_id": x.elem_id, "kind": kind, "label": getattr(x, "label", None)}
    if kind != "HTML":
        seen["value"] = getattr(x, "value", None)
    if getattr(x, "choices", None) is not None:
        seen["choices"] = [each if isinstance(each, str) else each[-1] for each in x.choices]
    for name in _OF_COMPONENTS:
        if getattr(x, name, None) is not None:
            seen[name] = getattr(x, name)
    text = json.dumps(seen)
    return json.loads(re.sub(r"script_(txt|img)2img_", "script_TAB_", text))


def positions(webui, tab: str) -> list[str]:
    """The ids of what the page hands to the script, in the order of the positional form."""
    begin = f"script_{tab}_instantstyle_"
    return [x.elem_id.replace(begin, "") for x in webui.script("InstantStyle", tab).controls]


def pasted(infotext: str, tab: str) -> dict[str, Any]:
    """What pasting puts into our components of a tab, by id; None leaves one as it is."""
    from modules import infotext_utils

    params = infotext_utils.parse_generation_parameters(infotext)
    begin = f"script_{tab}_instantstyle_"
    return {
        component.elem_id.replace(begin, ""): _short(
            key(params) if callable(key) else params.get(key)
        )
        for component, key in infotext_utils.paste_fields[tab]["fields"]
        if (getattr(component, "elem_id", None) or "").startswith(begin)
    }


def told_apart(values: dict[str, Any], starts: dict[str, Any]) -> dict[str, Any]:
    """Those of `values` that say something: not where they are as the page starts.

    A unit that the infotext has not is left as it is, all but its switch.
    """
    written = [name for name, value in values.items() if name.endswith("_enabled") and value]
    units = tuple(name.removesuffix("enabled") for name in written)
    return {
        name: value
        for name, value in values.items()
        if (value != starts[name] if name.startswith(units) else value is not None)
    }


def starting(page: list[dict[str, Any]]) -> dict[str, Any]:
    """The value that each of our components on a page starts with, by id."""
    begin = "script_TAB_instantstyle_"
    return {x["elem_id"].replace(begin, ""): x["value"] for x in page if "value" in x}


def _short(value: Any) -> Any:
    """A picture is told by its hash."""
    if isinstance(value, str) and len(value) > 200:
        return f"sha256 {hashlib.sha256(value.encode()).hexdigest()}"
    return value


def models(webui) -> dict[str, str]:
    """SHA-256 of every tiny model file, which all that is kept was made with."""
    from modules import paths_internal

    folder = Path(paths_internal.models_path)
    kinds = ("Stable-diffusion", "ControlNet", "Lora", "clip_vision")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in kinds
        for path in sorted((folder / kind).glob("*.safetensors"))
    }


def style_header(path: Path) -> dict[str, Any]:
    """What a style file says of itself and of its tensors, without times and offsets."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    said = header.pop("__metadata__")
    info = json.loads(said.pop("instantstyle_style"))
    del info["created"]
    tensors = {name: [each["dtype"], each["shape"]] for name, each in header.items()}
    return {"info": info, "tensors": tensors, "beside": sorted(said)}


def own_folder() -> Path:
    """Where styles and references of a user lie."""
    from modules import paths_internal

    return Path(paths_internal.models_path) / "InstantStyle"


def config_file(webui) -> Path:
    return Path(webui.shared.cmd_opts.ui_config_file)


def defaults(webui) -> dict[str, Any]:
    """Our part of ui-config.json."""
    saved = json.loads(config_file(webui).read_text(encoding="utf8"))
    return {k: v for k, v in saved.items() if k.startswith("customscript/instantstyle.py/")}
