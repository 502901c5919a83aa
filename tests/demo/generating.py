"""Requests to the miniature's API as any client makes them, while the UNet is watched."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from tests.demo.terms import added_terms, touched_blocks
from tests.miniature import harness

SETTINGS = {"steps": 12, "cfg_scale": 4.0, "width": 256, "height": 256, "seed": 5}
SETTINGS |= {"sampler_name": "Euler", "scheduler": "Automatic"}


class Demo:
    def __init__(self, webui: harness.WebUI) -> None:
        self._webui = webui

    def generate(
        self, prompt: str, unit: dict[str, Any] | None
    ) -> tuple[Image.Image, dict[str, float]]:
        """A picture, and the blocks that something was added to, with its share."""
        units = [] if unit is None else [unit]
        with added_terms(self._webui.unet) as shares:
            answer = self._webui.txt2img(
                prompt=prompt, alwayson_scripts={"InstantStyle": {"args": units}}, **SETTINGS
            )
        return answer.images[0].convert("RGB"), touched_blocks(shares)


def difference(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute difference in 8-bit levels."""
    return float(np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean())
