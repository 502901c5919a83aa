"""A small client of the WebUI's API, for the miniature and for real WebUIs alike."""

from __future__ import annotations

import base64
import io
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from tests.waiting import HANGS
from tests.webui import gallery

PICTURES = Path(__file__).parents[1] / "pictures"
SMALL = {
    "prompt": "a cat on a table",
    "negative_prompt": "blurry",
    "steps": 2,
    "width": 64,
    "height": 64,
    "seed": 7,
    "sampler_name": "Euler",
    "scheduler": "Automatic",
    "cfg_scale": 7,
}


def reference(name: str = "coffee.jpg") -> str:
    """A reference picture as base64 text."""
    return base64.b64encode((PICTURES / name).read_bytes()).decode()


class Answer:
    """The answer to a generation request."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        body = response.json()
        self.detail: str = body.get("detail", "")
        self._images: list[str] = body.get("images") or []
        self.info: dict[str, Any] = json.loads(body["info"]) if "info" in body else {}

    @property
    def images(self) -> list[np.ndarray]:
        return [np.asarray(self.picture(i)) for i in range(len(self._images))]

    def picture(self, index: int = 0) -> Image.Image:
        data = base64.b64decode(self._images[index].split(",", 1)[-1])
        return Image.open(io.BytesIO(data)).convert("RGB")

    @property
    def bytes(self) -> list[str]:
        """The files exactly as they came, infotext chunk included."""
        return self._images

    @property
    def infotexts(self) -> list[str]:
        return self.info["infotexts"]


class Client:
    """Requests to one WebUI."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        # A WebUI drops a connection after an error or when nothing is asked for long, and may do so
        # while the next request is on its way: each has one of its own.
        self._session.headers["Connection"] = "close"

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        return self._session.post(f"{self.url}{path}", json=body, timeout=2 * HANGS)

    def get(self, path: str) -> Any:
        response = self._session.get(f"{self.url}{path}", timeout=HANGS)
        response.raise_for_status()
        return response.json()

    def get_bytes(self, path: str) -> bytes:
        response = self._session.get(f"{self.url}{path}", timeout=HANGS)
        response.raise_for_status()
        return response.content

    def repeats_exactly(self, **fields: Any) -> bool:
        """Whether this WebUI, without the extension, makes the same file after another one.

        Forge's and Classic's img2img varies in the last bit with what was generated before.
        """
        before = self.generate(**fields)
        self.generate()
        return before.bytes == self.generate(**fields).bytes

    def needs_settings(self, *names: str) -> None:
        """Skip the test where this WebUI has no such settings."""
        missing = set(names) - self.get("/sdapi/v1/options").keys()
        if missing:
            pytest.skip(f"this WebUI has no setting {', '.join(sorted(missing))}")

    def has_script(self, name: str) -> bool:
        """name: a script's title in lower case."""
        return any(info["name"] == name for info in self.get("/sdapi/v1/script-info"))

    @cached_property
    def _latent_upscaler(self) -> str:
        """Forge Neo has none, and its "None" resizes pixels; ersatzForge has others."""
        names = [each["name"] for each in self.get("/sdapi/v1/latent-upscale-modes")]
        return "Latent" if "Latent" in names else next(iter(names), "None")

    def options(self, **values: Any) -> None:
        self.post("/sdapi/v1/options", values).raise_for_status()

    def generate(
        self, *units: Any, mode: str = "txt2img", args: Any = None, **fields: Any
    ) -> Answer:
        """Generate with `units` (or raw `args`); with neither, the script is not mentioned."""
        body = {**SMALL, **fields}
        if body.get("hr_upscaler") == "Latent":
            body["hr_upscaler"] = self._latent_upscaler
        if units or args is not None:
            body["alwayson_scripts"] = {
                "InstantStyle": {"args": list(units) if args is None else args},
                **body.get("alwayson_scripts", {}),
            }
        answer = Answer(self.post(f"/sdapi/v1/{mode}", body))
        _show(body, answer)
        return answer


def _show(body: dict[str, Any], answer: Answer) -> None:
    """Hand the pictures to the report."""
    for i in range(len(answer.bytes)):
        gallery.made.append((gallery.caption(body), answer.picture(i)))
    if answer.bytes and not gallery.versions:
        found = re.search(r"Version: ([^,\s]+)", answer.infotexts[0])
        gallery.versions += [found[1]] if found else []


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two pictures, in 8-bit levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())
