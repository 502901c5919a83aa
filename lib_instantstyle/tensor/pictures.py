"""Reference pictures: from the text that requests carry to the pixels that CLIP sees."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageOps

from lib_instantstyle.pure.errors import InstantStyleError, shorten

MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 128 * 1024 * 1024
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # what browsers and cameras make
MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training pictures, RGB
STD = (0.26862954, 0.26130258, 0.27577711)
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)


@dataclass(frozen=True)
class Picture:
    """One reference picture."""

    image: Image.Image  # RGB, upright
    sha256: str  # of the file as it came, so the same file is recognised wherever it comes from


def decode_picture(text: str, label: str = "image") -> Picture:
    """Decode base64 text or a data URL.

    Raises InstantStyleError if it is not base64, not a picture, damaged or too large.
    """
    match = _DATA_URL.match(text)
    if not match and text.startswith("data:"):
        raise InstantStyleError(f"{label} is the data URL {shorten(text, 40)}; base64 is allowed.")
    body = text[match.end() :] if match else text
    if len(body) > MAX_BYTES * 4 // 3 + 4:
        raise InstantStyleError(
            f"{label} has {len(body) * 3 // 4:,} bytes; up to {MAX_BYTES:,} are allowed."
        )
    try:
        # Some clients break lines; anything else that is no base64 is a mistake worth reporting.
        data = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InstantStyleError(
            f"{label} is {shorten(text, 40)}; a picture as base64 text or data URL is allowed."
        ) from None
    return Picture(open_picture(data, label), hashlib.sha256(data).hexdigest())


def open_picture(data: bytes, label: str = "image") -> Image.Image:
    """Open the bytes of a picture file as an upright RGB picture (an animation's first frame).

    Raises InstantStyleError as `decode_picture` does.
    """
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a decompression bomb below twice its limit; ours is checked next.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        return ImageOps.exif_transpose(image).convert("RGB")
    except Image.DecompressionBombError:
        raise InstantStyleError(
            f"{label} has more than {MAX_PIXELS:,} pixels; make the picture smaller."
        ) from None
    except Exception as error:  # Pillow's decoders raise anything from SyntaxError to struct.error
        raise InstantStyleError(
            f"{label} cannot be read as a picture ({shorten(str(error), 80)}); "
            f"one of {', '.join(FORMATS)} is allowed."
        ) from error


def clip_pixels(image: Image.Image, size: int) -> torch.Tensor:
    """CLIP's input for `image`: [1, 3, size, size], float32, normalised.

    Short side resized to `size` (bicubic, antialiased, rounded to 8 bit), centre crop, mean and
    standard deviation taken out. Source: transformers, CLIPImageProcessor.
    """
    width, height = image.size
    short = min(width, height)
    resized = image.resize(
        (max(size, size * width // short), max(size, size * height // short)),
        Image.Resampling.BICUBIC,
    )
    left = (resized.width - size) // 2
    top = (resized.height - size) // 2
    cropped = resized.crop((left, top, left + size, top + size))
    array = np.asarray(cast(Any, cropped), dtype=np.float32) / 255.0
    normalised = (array - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(normalised.transpose(2, 0, 1).copy()).unsqueeze(0)
