"""The pictures of a unit, decoded, with their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, NoReference, shorten
from lib_instantstyle.hosts import Host
from lib_instantstyle.references import pictures
from lib_instantstyle.references.pictures import Colour, Picture
from lib_instantstyle.unet.masks import Mask, mask_of
from lib_instantstyle.units.unit import NO_REFERENCE, Unit

HASH_LENGTH = 12  # hexadecimal digits of a picture's hash in infotext
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True)
class UnitPictures:
    """The decoded pictures of a unit."""

    references: tuple[Picture, ...]
    weights: tuple[float, ...]  # of the references
    reference_mask: Picture | None
    negative: Picture | None
    mask: Mask | None
    hashes: dict[str, str]  # by field, as infotext has them
    files: tuple[bytes, ...]  # the files of all pictures; empty for one behind a URL


def pictures_of(
    unit: Unit, host: Host, noting: Callable[[], AbstractContextManager[None]] = nullcontext
) -> UnitPictures:
    """Decode the pictures of `unit`.

    noting: a context entered for each picture; if it suppresses errors (a dry run), pictures that
    cannot be read are left out. Raises InstantStyleError if there is neither a reference nor a
    saved style, or both, or a picture cannot be read.
    """
    if unit.image and unit.style:
        with noting():
            raise InstantStyleError(
                f"it has both a reference and the style {shorten(unit.style)}; clear one of them."
            )
    if not unit.image and not unit.style:
        with noting():
            raise NoReference(NO_REFERENCE.format(unit.number))
    found: dict[str, Picture] = {}
    references, weights = [], []
    for reference in unit.image:
        with noting():
            references.append(_picture(reference.image, host))
            weights.append(reference.weight)
    # What is transparent in a mask is not meant.
    for name, below in (("negative_image", None), ("reference_mask", BLACK), ("mask", BLACK)):
        if text := getattr(unit, name):
            with noting():
                found[name] = _picture(text, host, name, below)
    hashes = {"image": " ".join(map(_weighted, references, weights))}
    hashes |= {name: picture.sha256[:HASH_LENGTH] for name, picture in found.items()}
    return UnitPictures(
        tuple(references),
        tuple(weights),
        found.get("reference_mask"),
        found.get("negative_image"),
        mask_of(found["mask"].image) if "mask" in found else None,
        hashes,
        tuple(picture.file for picture in (*references, *found.values())),
    )


def references_of(unit: Unit, host: Host) -> tuple[Picture, ...]:
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
    return tuple(_picture(reference.image, host) for reference in unit.image)


def _picture(text: str, host: Host, label: str = "image", below: Colour | None = None) -> Picture:
    if text.startswith(("http://", "https://")):
        data = host.fetch(text, limits.PICTURE_BYTES, label)
        return Picture(pictures.open_picture(data, label, below), hashlib.sha256(data).hexdigest())
    return pictures.decode_picture(text, label, below)


def _weighted(picture: Picture, weight: float) -> str:
    start = picture.sha256[:HASH_LENGTH]
    return start if weight == 1.0 else f"{start}*{weight:g}"
