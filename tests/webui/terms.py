"""What the style adds inside a running WebUI's UNet, by the probe in `term_probe`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from tests.webui.client import Client

TITLE = "term probe"


def needs_probe(client: Client) -> None:
    """Skip the test where the WebUI does not have the probe among its extensions."""
    if not client.has_script(TITLE):
        pytest.skip("NOT RUN: the WebUI has no extension tests/webui/term_probe")


def first_call(client: Client, *units: Any, **fields: Any) -> dict[str, np.ndarray]:
    """The probe's recording of a generation's first UNet call."""
    scripts = {**fields.pop("alwayson_scripts", {}), TITLE: {"args": [True]}}
    answer = client.generate(*units, alwayson_scripts=scripts, **fields)
    assert answer.status == 200, answer.detail
    return load(client.get_bytes("/term-probe"))


def added(recording: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Layer -> added term [rows, tokens, width], prompt rows first, in the order of the UNet."""
    layers = [name.removesuffix(".before") for name in recording if name.endswith(".before")]
    layers.sort(key=lambda name: [int(x) if x.isdigit() else x for x in name.split(".")])
    return {name: recording[f"{name}.after"] - recording[f"{name}.before"] for name in layers}
