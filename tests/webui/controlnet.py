"""Units of ControlNet in the words of the WebUI under test.

The Forge family has a ControlNet built in. It calls some preprocessors otherwise than
sd-webui-controlnet does, and knows a model by the name in its list alone, hash included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.webui.client import Client

BUILT_IN = {
    "none": "None",
    "ip-adapter_clip_sdxl": "CLIP-ViT-bigG (IPAdapter)",
    "ip-adapter_clip_sd15": "CLIP-ViT-H (IPAdapter)",
    "instant_id_face_embedding": "InsightFace (InstantID)",
}
"""Names of sd-webui-controlnet's preprocessors in the Forge family."""


def is_built_in(client: Client) -> bool:
    """Whether the ControlNet there is the Forge family's."""
    return BUILT_IN["ip-adapter_clip_sd15"] in _modules(client)


def listed_models(client: Client) -> dict[str, str]:
    """What ControlNet calls each of its models, by name of the file."""
    names = client.get("/controlnet/model_list")["model_list"]
    return {name.split(" [")[0]: name for name in names}


def in_its_words(client: Client, units: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`units` as the ControlNet there wants them; skips the test where it has no such thing."""
    if not units:
        return []
    modules, models = _modules(client), listed_models(client)
    said = []
    for unit in units:
        module = unit["module"]
        if BUILT_IN["ip-adapter_clip_sd15"] in modules:
            module = BUILT_IN.get(module, module)
            if unit.get("low_vram"):
                pytest.skip("NOT RUN: the built-in ControlNet leaves memory to the WebUI")
        if module not in modules:
            pytest.skip(f"NOT RUN: the WebUI's ControlNet has no {module}")
        said.append({**unit, "module": module, "model": models.get(unit["model"], unit["model"])})
    return said


def needs_models(client: Client, *names: str) -> None:
    """Skip the test where ControlNet does not list models with these names, and say what to do."""
    absent = sorted(set(names) - listed_models(client).keys() - {"None"})
    if absent:
        pytest.skip(
            f"NOT RUN: ControlNet lists no {' and no '.join(absent)}; "
            "`python -m tests.webui.control_models FOLDER` writes tiny ones: put them into the "
            "WebUI's models/ControlNet"
        )


def _modules(client: Client) -> list[str]:
    modules: list[str] = client.get("/controlnet/module_list")["module_list"]
    return modules
