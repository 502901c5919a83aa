"""What generations are asked for with our script, and how far two pictures differ."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "tests" / "pictures"


def picture(name):
    """As a request has it."""
    return base64.b64encode((PICTURES / name).read_bytes()).decode()


def open_picture(name):
    return Image.open(PICTURES / name).convert("RGB").resize((128, 128))


UNIT = {"image": picture("coffee.jpg")}
CONTENT = open_picture("coffee.jpg")  # what an img2img request changes


def style(*units):
    return {"alwayson_scripts": {"InstantStyle": {"args": list(units)}}}


def difference(a, b):
    """The largest of two pictures, in levels of 255."""
    return np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max()
