"""Pictures of noise, and how far apart two views of one may be."""

import base64
import io

import numpy as np
from PIL import Image

LEVEL = 0.0151  # one 8-bit level in normalised units


def noise(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def reference():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return image, base64.b64encode(buffer.getvalue()).decode()
