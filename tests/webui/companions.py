"""Other always-on scripts of a WebUI, addressed through its API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webui.client import Client
from tests.webui.controlnet import in_its_words, is_built_in


def script(client: Client, title: str, /, first: Any = True, **values: Any) -> dict[str, Any]:
    """`alwayson_scripts` that switch on the script whose title begins with `title`.

    first: for its first control, which switches it on everywhere; values: by label of a control
    (case and spaces do not matter); all else keeps its default. Skips the test where the WebUI has
    no such script.
    """
    infos = client.get("/sdapi/v1/script-info")
    found = [
        info
        for info in infos
        if info["name"].startswith(title) and info["is_alwayson"] and not info["is_img2img"]
    ]
    if not found:
        pytest.skip(f"this WebUI has no {title}")
    arguments = found[0]["args"]
    args = [argument["value"] for argument in arguments]
    args[0] = first
    labels = [_plain(argument["label"]) for argument in arguments]
    for label, value in values.items():
        args[labels.index(_plain(label))] = value
    return {found[0]["name"]: {"args": args}}


def _plain(label: str) -> str:
    return "".join(label.lower().replace("_", " ").split())


def controlnet_ip_adapter(client: Client, adapter: str, image: str) -> dict[str, Any]:
    """`alwayson_scripts` with a unit of the Forge family's built-in IP-Adapter.

    Skips the test where the WebUI has none.
    """
    encoder = "ip-adapter_clip_sdxl" if adapter == "ip-adapter_sdxl" else "ip-adapter_clip_sd15"
    return controlnet(client, encoder, image, model=adapter)


def controlnet(
    client: Client, module: str, image: str, model: str = "None", weight: float = 1.0
) -> dict[str, Any]:
    """`alwayson_scripts` with one unit of the Forge family's built-in ControlNet."""
    if not client.has_script("controlnet") or not is_built_in(client):
        pytest.skip("this WebUI has no ControlNet built in")
    unit = {"enabled": True, "module": module, "model": model, "image": image, "weight": weight}
    return {"controlnet": {"args": in_its_words(client, [unit])}}
