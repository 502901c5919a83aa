"""Pictures that a scenario made, for whoever wants to show them (see report.py)."""

from __future__ import annotations

from collections import deque
from typing import Any

from PIL import Image

_MOST = 200
PICTURE = 200  # a text longer than this is one, in base64
made: deque[tuple[str, Image.Image]] = deque(maxlen=_MOST)
"""(caption, picture) of the scenario under way; the report empties it for each."""

versions: list[str] = []
"""What the WebUI calls its version, as its infotexts say."""


def caption(body: dict[str, Any]) -> str:
    """What was asked for, in a few words: "img2img, style: weight 0.7"."""
    kind = "img2img" if "init_images" in body else "txt2img"
    script = body.get("alwayson_scripts", {}).get("InstantStyle")
    if script is None:
        return f"{kind}, plain"
    words = [_words(argument) for argument in script.get("args") or []]
    return f"{kind}, style: {' + '.join(filter(None, words)) or 'defaults'}"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        shown = {k: v for k, v in value.items() if k != "image"}
        return ", ".join(f"{k} {_short(v)}" for k, v in shown.items())
    return _short(value)


def _short(value: Any) -> str:
    text = str(value)
    if isinstance(value, str) and len(value) > PICTURE:
        return "a picture"
    return text if len(text) <= 40 else f"{text[:39]}…"
