"""The pictures of a unit: decoded, named by their hashes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lib_instantstyle.hosts import Host
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.units import NO_REFERENCE, Unit
from lib_instantstyle.tensor import pictures
from lib_instantstyle.tensor.masks import Mask, mask_of
from lib_instantstyle.tensor.picture_modes import Colour
from lib_instantstyle.tensor.pictures import Picture

HASH_LENGTH = 12  # hexadecimal digits of a picture's hash in infotext
BLACK: Colour = (0, 0, 0)


class NoReference(InstantStyleError):
    """A unit is on but has no reference; the sentence names the unit itself."""


@dataclass(frozen=True)
class UnitPictures:
    """What a unit shows."""

    references: tuple[Picture, ...]
    weights: tuple[float, ...]  # of the references
    reference_mask: Picture | None
    negative: Picture | None
    mask: Mask | None
    hashes: dict[str, str]  # by field, as infotext writes them


def pictures_of(unit: Unit, host: Host) -> UnitPictures:
    """Decode the pictures of `unit`.

    Raises InstantStyleError if there is no reference, or one of them cannot be read.
    """
    references = references_of(unit, host)
    weights = tuple(reference.weight for reference in unit.image)
    hashes = {"image": " ".join(map(_weighted, references, weights))}
    negative = (
        _picture(unit.negative_image, host, "negative_image") if unit.negative_image else None
    )
    # What is transparent in a mask is not meant.
    masks = {
        name: _picture(text, host, name, BLACK)
        for name in ("reference_mask", "mask")
        if (text := getattr(unit, name))
    }
    for name, picture in (("negative_image", negative), *masks.items()):
        if picture is not None:
            hashes[name] = picture.sha256[:HASH_LENGTH]
    return UnitPictures(
        references,
        weights,
        masks.get("reference_mask"),
        negative,
        mask_of(masks["mask"].image) if "mask" in masks else None,
        hashes,
    )


def references_of(unit: Unit, host: Host) -> tuple[Picture, ...]:
    """The reference pictures of `unit`, one or more.

    Raises InstantStyleError as `pictures_of` does.
    """
    if not unit.image:
        raise NoReference(NO_REFERENCE.format(unit.number))
    return tuple(_picture(reference.image, host) for reference in unit.image)


def _picture(text: str, host: Host, label: str = "image", below: Colour | None = None) -> Picture:
    if text.startswith(("http://", "https://")):
        data = host.download(text, pictures.MAX_BYTES, label)
        return Picture(pictures.open_picture(data, label, below), hashlib.sha256(data).hexdigest())
    return pictures.decode_picture(text, label, below)


def _weighted(picture: Picture, weight: float) -> str:
    start = picture.sha256[:HASH_LENGTH]
    return start if weight == 1.0 else f"{start}*{weight:g}"
