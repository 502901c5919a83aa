"""What the image encoder looks at: a picture as a unit wants it seen, or the zero image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image

from lib_instantstyle.pure.choices import CROPS
from lib_instantstyle.pure.units import Unit
from lib_instantstyle.tensor.clip_view import normalised
from lib_instantstyle.tensor.noise import noisy
from lib_instantstyle.tensor.pictures import Picture
from lib_instantstyle.tensor.reference_view import reference_views

_NO_NOISE = "none"


@dataclass(frozen=True)
class Sight:
    """One thing to look at.

    key: tells it from all others, by content. pixels: the encoder's input [n, 3, size, size] for a
    size in pixels; of several views the features are averaged.
    """

    key: str
    pixels: Callable[[int], torch.Tensor]


# Zero after CLIP's normalisation, a flat picture of CLIP's mean colour: what adapters saw in
# training where the picture was dropped.
ZERO_IMAGE = Sight("zero image", lambda size: torch.zeros(1, 3, size, size))


def sight_of(picture: Picture, unit: Unit | None = None, mask: Picture | None = None) -> Sight:
    """`picture` with the crop and the sharpening of `unit`, and the part that `mask` marks.

    unit: None for the picture as it is, its middle.
    """
    key = [picture.sha256]
    if unit is None:
        return Sight(
            picture.sha256,
            lambda size: normalised(reference_views(picture.image, size, CROPS[0], 0.0, None)),
        )
    if unit.crop != "center":
        key.append(unit.crop)
    if unit.sharpening:
        key.append(f"sharpening {unit.sharpening}")
    if mask is not None:
        key.append(f"mask {mask.sha256}")
    return Sight("; ".join(key), lambda size: normalised(views_of(picture, unit, size, mask)))


def negative_sight_of(picture: Picture, unit: Unit, mask: Picture | None = None) -> Sight:
    """`picture` as `sight_of` shows it, with the noise of `unit`."""
    plain = sight_of(picture, unit, mask)
    if unit.noise == _NO_NOISE:
        return plain

    def pixels(size: int) -> torch.Tensor:
        views = views_of(picture, unit, size, mask)
        settings = (unit.noise, unit.noise_strength, round(unit.noise_blur))
        return normalised([noisy(view, *settings) for view in views])

    noise = f"{unit.noise} {unit.noise_strength} {unit.noise_blur}"
    return Sight(f"{plain.key}; {noise}", pixels)


def views_of(
    picture: Picture, unit: Unit, size: int, mask: Picture | None = None
) -> list[Image.Image]:
    """The `size` x `size` pictures that the encoder sees."""
    marked = None if mask is None else mask.image
    return reference_views(picture.image, size, unit.crop, unit.sharpening, marked)


def has_negative_sight(unit: Unit) -> bool:
    """Whether negative-prompt rows get another picture than the zero image."""
    return unit.negative_image is not None or unit.noise != _NO_NOISE
