"""Reference pictures: from the text in requests to upright 8-bit RGB, for any picture Pillow opens.

A transparent part holds nothing to imitate, so it becomes CLIP's mean colour: after normalisation
that is zero (within one 8-bit level), the value of a picture that was left out in training. Colour
profiles are not applied, as in CLIP's own preprocessing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from PIL import Image, ImageOps, UnidentifiedImageError, features

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.references.rgb import NOTHING, Colour, shrink_factor, shrunk_rgb, to_rgb
from lib_instantstyle.session import SESSION
from lib_instantstyle.units.values import GONE

_REMEMBERED = 4096  # pictures of which is remembered that they can be read
_PREFIX = 1024  # characters that a data URL has before its data, at most
_DATA_URL = re.compile(  # RFC 2397: neither a type nor parameters need be there
    r'data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.+%-]+(?:="?[^",;]*"?)?)*;base64,', re.IGNORECASE
)


@dataclass(frozen=True)
class _Format:
    """A format by Pillow's name for it."""

    name: str
    start: bytes  # how a file of it begins
    codec: str = ""  # what Pillow's own opener needs, as `PIL.features` calls it


# What browsers, cameras and phones make, in the order in which they are tried. Never all that
# Pillow opens: EPS and WMF are drawn by other programs, and a plugin may add anything.
_FORMATS = (
    _Format("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", "zlib"),
    _Format("JPEG", b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0", "jpg"),
    _Format("WEBP", b"RIFF\x1a\0\0\0WEBPVP8L", "webp"),
    _Format("GIF", b"GIF89a\1\0\1\0\0\0\0,\0\0"),
    _Format("BMP", b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0"),
    _Format("TIFF", b"II*\0\x08\0\0\0\0\0\0\0\0\0\0\0"),
    _Format("AVIF", b"\0\0\0\x1cftypavif\0\0\0\0", "avif"),
    _Format("HEIF", b"\0\0\0\x18ftypheic\0\0\0\0"),
    _Format("JXL", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14"),
)


class Picture:
    """One reference picture.

    image: RGB, upright. sha256: of the file as it came, so the same file is recognised wherever it
    comes from. size: upright, as it came: very large ones are made smaller. file: as it came; empty
    if it came otherwise.
    """

    def __init__(
        self,
        image: Image.Image | Callable[[], Image.Image],
        sha256: str,
        size: tuple[int, int] | None = None,
    ) -> None:
        """image: or what decodes it, called when it is first asked for; size is given then."""
        self._image = image
        self.sha256 = sha256
        self.size = size or self.image.size
        self.file = b""

    @property
    def image(self) -> Image.Image:
        """Its pixels. Raises InstantStyleError if they are decoded now and that fails."""
        if not isinstance(self._image, Image.Image):
            self._image = self._image()
        return self._image


class _Readable:
    """Files that were decoded before: their upright sizes, by SHA-256."""

    def __init__(self) -> None:
        self.sizes: dict[str, tuple[int, int]] = {}

    def add(self, digest: str, size: tuple[int, int]) -> None:
        """Remember one more, and forget the first where there are too many."""
        self.sizes[digest] = size
        if len(self.sizes) > _REMEMBERED:
            with suppress(StopIteration, KeyError, RuntimeError):  # another thread was quicker
                del self.sizes[next(iter(self.sizes))]


Claim = Callable[[int], None]  # called with a number of pixels, before they are decoded


def decode_picture(
    text: str, label: str = "image", below: Colour | None = None, claim: Claim | None = None
) -> Picture:
    """Decode base64 text or a data URL.

    below: the colour where the picture is transparent, instead of CLIP's mean colour. claim: told
    of the pixels before they are decoded; may raise.

    Raises InstantStyleError if it is not base64, not a picture, damaged or too large.
    """
    if text.startswith(GONE):
        named = shorten(text[len(GONE) : _PREFIX], 20)
        raise InstantStyleError(
            f"{label} is the picture {named} of an infotext, which is not kept here, or not handed "
            "out; give the picture again."
        )
    match = _DATA_URL.match(text[:_PREFIX])
    if not match and text[:5].lower() == "data:":
        raise InstantStyleError(
            f"{label} is the data URL {shorten(text[:_PREFIX], 40)}; base64 is allowed."
        )
    begin = match.end() if match else 0
    length, most = len(text) - begin, limits.PICTURE_BYTES * 4 // 3 + 4
    if match and length <= 3 * most and "%" in text:  # an escape has three characters
        text, begin = unquote(text[begin:]), 0
        length = len(text)
    if length > most:
        raise InstantStyleError(
            f"{label} has {length * 3 // 4:,} bytes; up to {limits.PICTURE_BYTES:,} are allowed."
        )
    try:
        # Some clients break lines; anything else that is no base64 is a mistake worth reporting.
        data = base64.b64decode("".join(text[begin:].split()), validate=True)
    except (binascii.Error, ValueError):
        raise InstantStyleError(
            f"{label} is {shorten(text[:_PREFIX], 40)}; a picture as base64 text or data URL is "
            "allowed."
        ) from None
    picture = read_picture(data, label, below, claim)
    picture.file = data
    return picture


def read_picture(
    data: bytes, label: str = "image", below: Colour | None = None, claim: Claim | None = None
) -> Picture:
    """The picture in the bytes of a file: upright, RGB, of an animation the first frame.

    One that was read before is decoded when its pixels are asked for: a known reference is used
    without them. Raises InstantStyleError as `decode_picture` does.
    """
    digest = hashlib.sha256(data).hexdigest()
    readable = SESSION.of(_Readable)
    known = readable.sizes.get(digest)
    if known is not None and math.prod(known) <= limits.PICTURE_PIXELS:
        if claim is not None:
            claim(math.prod(known))
        return Picture(lambda: _upright(_opened(data, label), label, below)[0], digest, known)
    opened = _opened(data, label)
    if claim is not None:
        claim(opened.width * opened.height)
    image, size = _upright(opened, label, below)
    readable.add(digest, size)
    return Picture(image, digest, size)


def _opened(data: bytes, label: str) -> Image.Image:
    """The picture with nothing but its size read."""
    with _refusing(label), warnings.catch_warnings():
        # Pillow only warns of a decompression bomb below twice its limit; ours is checked here.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(data), formats=readable_formats())
        _check_pixels(image)
    return image


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > limits.PICTURE_PIXELS:
        raise Image.DecompressionBombError


def _upright(
    image: Image.Image, label: str, below: Colour | None
) -> tuple[Image.Image, tuple[int, int]]:
    """`image` upright and RGB, and its size in the file; transparency becomes `below`.

    A picture of more than WHOLE_PIXELS becomes smaller.
    """
    with _refusing(label):
        _check_pixels(image)
        width, height = image.size
        factor = shrink_factor(image.size)
        if factor > 1 and image.format == "JPEG":  # which can be read at a half, a fourth, ...
            image.draft(None, (width // factor, height // factor))
            factor = shrink_factor(image.size)
        image.load()
        if image.format == "TIFF":  # loading has turned these; Pillow 9 would turn them twice
            return _small_rgb(image, factor, below), image.size
        before = image if factor == 1 else _small_rgb(image, factor, below)
        before.info = {**image.info}
        if factor > 1:
            before.info.pop("transparency", None)
        turned = before
        # A camera's notes about a picture may be damaged where the picture is not.
        with suppress(Exception):
            turned = ImageOps.exif_transpose(before)
        if turned.size != before.size:
            width, height = height, width
        return _small_rgb(turned, 1, below), (width, height)


def _small_rgb(image: Image.Image, factor: int, below: Colour | None) -> Image.Image:
    if factor == 1:
        return to_rgb(image, below or NOTHING)
    return shrunk_rgb(image, factor, below or NOTHING)


@contextmanager
def _refusing(label: str) -> Iterator[None]:
    """Turns whatever Pillow raises, anything from SyntaxError to struct.error, into a sentence."""
    try:
        yield
    except (Image.DecompressionBombError, MemoryError):
        raise InstantStyleError(
            f"{label} has more than {limits.PICTURE_PIXELS:,} pixels; make the picture smaller."
        ) from None
    except Exception as error:
        # Pillow's own words for this name an object of Python.
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "its format is unknown" if unknown else shorten(str(error), 80)
        raise InstantStyleError(
            f"{label} cannot be read as a picture ({reason}); "
            f"one of {', '.join(readable_formats())} is allowed."
        ) from error


def readable_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that can be read here and now.

    WebP and AVIF depend on how Pillow was built, HEIF and JPEG XL on a plugin, which the WebUI or
    another extension may register at any time.
    """
    Image.init()
    return tuple(each.name for each in _FORMATS if _is_readable(each))


def _is_readable(wanted: _Format) -> bool:
    if wanted.name not in Image.OPEN:
        return False
    opener, accepts = Image.OPEN[wanted.name]
    return _accepts(accepts, wanted.start) and _has_codec(opener, wanted.codec)


def _accepts(accepts: Callable[[bytes], Any] | None, start: bytes) -> bool:
    """Pillow registers openers that it was built without; they answer with a sentence."""
    if accepts is None:
        return True
    try:
        return not isinstance(accepts(start), str)
    except Exception:  # a plugin of others
        return False


def _has_codec(opener: Any, codec: str) -> bool:
    """A plugin of others brings its own codec; features does not know of that."""
    if not codec or not str(getattr(opener, "__module__", "")).startswith("PIL."):
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a codec that this Pillow has never heard of
        return bool(features.check(codec))
