"""The pictures of a unit, decoded, with their hashes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, NoReference, shorten
from lib_instantstyle.hosts import Host
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.references.pictures import (
    Claim,
    Picture,
    decode_picture,
    read_picture,
)
from lib_instantstyle.references.rgb import Colour
from lib_instantstyle.stages import REQUEST
from lib_instantstyle.unet.masks import Mask, mask_of
from lib_instantstyle.units.choices import COLOUR_TEXTURE
from lib_instantstyle.units.unit import NO_REFERENCE, Unit

HASH_LENGTH = 12  # hexadecimal digits of a picture's hash in infotext
BLACK: Colour = (0, 0, 0)


_PictureKey = tuple[str, Colour | None]  # a picture as the request has it, and what lies below it


@dataclass(frozen=True)
class UnitPictures:
    """The decoded pictures of a unit."""

    references: tuple[Picture, ...]
    weights: tuple[float, ...]  # of the references
    reference_mask: Picture | None
    negative: Picture | None
    mask: Mask | None
    hashes: dict[str, str]  # by field, as infotext has them
    all: tuple[Picture, ...]


class RequestPictures:
    """The pictures of one request: each is decoded once, and all together within budgets."""

    def __init__(self) -> None:
        self._decoded: dict[_PictureKey, Picture] = {}
        self._pixels: dict[_PictureKey, int] = {}  # of forgotten ones, too
        self._seconds = 0.0  # that their addresses have taken

    def picture(
        self, text: str, host: Host, label: str = "image", below: Colour | None = None
    ) -> Picture:
        """What `text` holds, or what lies behind it.

        below: the colour where it is transparent, instead of CLIP's mean colour. Raises
        InstantStyleError if it cannot be had, or is too much with the others of its request.
        """
        key = (text, below)
        if key not in self._decoded and text.startswith(("http://", "https://")):
            with REQUEST:
                data, claim = self._fetched(text, host, label), self._claim(key, label)
                self._decoded[key] = read_picture(data, label, below, claim)
        return self.decoded(text, label, below)

    def decoded(self, text: str, label: str = "image", below: Colour | None = None) -> Picture:
        """The same of a text that is no address."""
        key = (text, below)
        if key not in self._decoded:
            with REQUEST:
                claim = self._claim(key, label)
                self._decoded[key] = decode_picture(text, label, below, claim)
        return self._decoded[key]

    def forget(self) -> None:
        """Free the pictures; one that is needed again is decoded again."""
        self._decoded.clear()

    def _claim(self, key: _PictureKey, label: str) -> Claim:
        def claim(pixels: int) -> None:
            held = sum(self._pixels.values()) + (0 if key in self._pixels else pixels)
            if held > limits.REQUEST_PIXELS:
                raise InstantStyleError(
                    f"with {label} the pictures of the request have {held:,} pixels; up to "
                    f"{limits.REQUEST_PIXELS:,} are allowed in all, so make them smaller."
                )
            self._pixels[key] = pixels

        return claim

    def _fetched(self, address: str, host: Host, label: str) -> bytes:
        if self._seconds > limits.REQUEST_SECONDS:
            raise InstantStyleError(
                f"{label} is the address {shorten(address, 80)}, and the addresses of the request "
                f"have taken more than {limits.REQUEST_SECONDS:g} seconds; send the picture as "
                "base64 text."
            )
        begun = time.monotonic()
        try:
            return host.fetch(address, limits.PICTURE_BYTES, label)
        finally:
            self._seconds += time.monotonic() - begun


def pictures_of(
    unit: Unit, context: Context, noting: Callable[[], AbstractContextManager[None]] = nullcontext
) -> UnitPictures:
    """Decode the pictures of `unit`.

    noting: a context entered for each picture; if it suppresses errors (a dry run), pictures that
    cannot be read are left out. Raises InstantStyleError if there is neither a reference nor a
    saved style, or both, or a picture cannot be read.
    """
    if unit.image and unit.style and unit.combine != COLOUR_TEXTURE:
        with noting():
            raise InstantStyleError(
                f"it has both a reference and the style {shorten(unit.style)}; clear one of them, "
                f"or set combine to '{COLOUR_TEXTURE}'."
            )
    if not unit.image and not unit.style:
        with noting():
            raise NoReference(NO_REFERENCE.format(unit.number))
    of_request, host = context.kept.of(RequestPictures), context.host
    found: dict[str, Picture] = {}
    references, weights = [], []
    for reference in unit.image:
        with noting():
            references.append(of_request.picture(reference.image, host))
            weights.append(reference.weight)
    # Transparent parts of a mask count as black.
    for name, below in (("negative_image", None), ("reference_mask", BLACK), ("mask", BLACK)):
        if text := getattr(unit, name):
            with noting():
                found[name] = of_request.picture(text, host, name, below)
    hashes = {"image": " ".join(map(_weighted, references, weights))}
    hashes |= {name: picture.sha256[:HASH_LENGTH] for name, picture in found.items()}
    return UnitPictures(
        tuple(references),
        tuple(weights),
        found.get("reference_mask"),
        found.get("negative_image"),
        mask_of(found["mask"].image) if "mask" in found else None,
        hashes,
        (*references, *found.values()),
    )


def references_of(unit: Unit, context: Context) -> tuple[Picture, ...]:
    """The reference pictures of `unit`, one or more.

    Raises InstantStyleError as `pictures_of` does.
    """
    if unit.style:
        raise InstantStyleError(
            f"method {unit.method} needs the picture itself, and style {shorten(unit.style)} does "
            "not hold it; drop the picture instead."
        )
    if not unit.image:
        raise NoReference(NO_REFERENCE.format(unit.number))
    of_request = context.kept.of(RequestPictures)
    return tuple(of_request.picture(reference.image, context.host) for reference in unit.image)


def _weighted(picture: Picture, weight: float) -> str:
    start = picture.sha256[:HASH_LENGTH]
    return start if weight == 1.0 else f"{start}*{weight:g}"
