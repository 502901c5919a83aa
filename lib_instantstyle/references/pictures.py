"""Reference pictures: from the text that requests carry to upright RGB."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast
from urllib.parse import unquote

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lib_instantstyle.clip.preprocess import MEAN
from lib_instantstyle.errors import InstantStyleError, shorten

MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 128 * 1024 * 1024
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # what browsers and cameras make
_DATA_URL = re.compile(  # RFC 2397: neither a type nor parameters need be there
    r'data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.+%-]+(?:="?[^",;]*"?)?)*;base64,', re.IGNORECASE
)


@dataclass(frozen=True)
class Picture:
    """One reference picture."""

    image: Image.Image  # RGB, upright
    sha256: str  # of the file as it came, so the same file is recognised wherever it comes from
    file: bytes = field(default=b"", repr=False)  # as it came; empty if it came otherwise


def decode_picture(text: str, label: str = "image", below: Colour | None = None) -> Picture:
    """Decode base64 text or a data URL.

    below: the colour where the picture is transparent, instead of CLIP's mean colour.

    Raises InstantStyleError if it is not base64, not a picture, damaged or too large.
    """
    match = _DATA_URL.match(text)
    if not match and text[:5].lower() == "data:":
        raise InstantStyleError(f"{label} is the data URL {shorten(text, 40)}; base64 is allowed.")
    body = text[match.end() :] if match else text
    body = unquote(body) if match and "%" in body else body
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
    return Picture(open_picture(data, label, below), hashlib.sha256(data).hexdigest(), data)


def open_picture(data: bytes, label: str = "image", below: Colour | None = None) -> Image.Image:
    """Open the bytes of a picture file as an upright RGB picture (an animation's first frame).

    Raises InstantStyleError as `decode_picture` does.
    """
    with _refusing(label), warnings.catch_warnings():
        # Pillow only warns of a decompression bomb below twice its limit; ours is checked later.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(data), formats=_formats())
    return upright_rgb(image, label, below)


def upright_rgb(
    image: Image.Image, label: str = "image", below: Colour | None = None
) -> Image.Image:
    """`image` as an upright RGB picture; transparency becomes CLIP's mean colour, or `below`.

    Raises InstantStyleError as `decode_picture` does.
    """
    with _refusing(label):
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        image.load()
        if image.format != "TIFF":  # loading has turned these; Pillow 9 would turn them twice
            # A camera's notes about a picture may be damaged where the picture is not.
            with suppress(Exception):
                image = ImageOps.exif_transpose(image)
        return to_rgb(image, below or NOTHING)


@contextmanager
def _refusing(label: str) -> Iterator[None]:
    """Turns whatever Pillow raises, anything from SyntaxError to struct.error, into a sentence."""
    try:
        yield
    except (Image.DecompressionBombError, MemoryError):
        raise InstantStyleError(
            f"{label} has more than {MAX_PIXELS:,} pixels; make the picture smaller."
        ) from None
    except Exception as error:
        # Pillow's own words for this name an object of Python.
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "its format is unknown" if unknown else shorten(str(error), 80)
        raise InstantStyleError(
            f"{label} cannot be read as a picture ({reason}); "
            f"one of {', '.join(FORMATS)} is allowed."
        ) from error


@cache
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow can read: AVIF came with 11.3."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


# Any picture that Pillow opens, as 8-bit RGB.
#
# Where a picture is transparent there is nothing to imitate, so CLIP's mean colour goes there:
# after normalisation it is zero (within one 8-bit level), the value of a picture that is not there.
# Colour profiles are not applied, as in CLIP's own preprocessing.

Colour = tuple[int, int, int]

NOTHING: Colour = (round(255 * MEAN[0]), round(255 * MEAN[1]), round(255 * MEAN[2]))
_WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN_BIT = 65535


def to_rgb(image: Image.Image, below: Colour = NOTHING) -> Image.Image:
    """`image` as RGB with 8 bits a channel, transparency filled with the colour `below`."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey(image, below)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*below, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image, below: Colour) -> Image.Image:
    """A grey picture of 16 or 32 bits, scaled to 8: Pillow's own conversion clips it.

    Whole numbers are 16-bit ones unless one is larger, then 31-bit ones. Floating-point numbers
    run from 0 to 1 unless one is larger, then from 0 to 255; what is no number is black.
    """
    given = np.asarray(cast(Any, image))
    values = np.nan_to_num(given.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(values.max(initial=0.0))
    if image.mode == "F":
        full = 1.0 if largest <= 1.0 else 255.0
    else:
        full = _SIXTEEN_BIT if largest <= _SIXTEEN_BIT else 2.0**31 - 1
    levels = np.clip(values * (255.0 / full), 0, 255).round().astype(np.uint8)
    colours = np.repeat(levels[..., None], 3, axis=-1)
    if "transparency" in image.info:  # one grey that stands for nothing
        colours[given == image.info["transparency"]] = below
    return Image.fromarray(colours)
