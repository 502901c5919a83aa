"""The image encoder's input: a picture with the crop and noise of a unit, or the zero image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image, ImageStat

from lib_instantstyle.clip.preprocess import normalised
from lib_instantstyle.references.crops import reference_views
from lib_instantstyle.references.noise import noisy
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.units.choices import CROPS
from lib_instantstyle.units.unit import Unit

_NO_NOISE = "none"


@dataclass(frozen=True)
class EncoderInput:
    """One input of the image encoder.

    key: equal for inputs with equal pixels. pixels: from a size in pixels to the encoder's input
    [n, 3, size, size]; the image embeds of several crops are averaged.
    """

    key: str
    pixels: Callable[[int], torch.Tensor]


# Zero after CLIP's normalisation, a flat picture of CLIP's mean colour: what adapters were given in
# training when the picture was dropped.
ZERO_IMAGE = EncoderInput("zero image", lambda size: torch.zeros(1, 3, size, size))


def reference_input(
    picture: Picture, unit: Unit | None = None, mask: Picture | None = None
) -> EncoderInput:
    """The part of `picture` that `mask` marks, with the crop and the sharpening of `unit`.

    unit: None for the middle of the picture, without mask and sharpening.
    """
    key = [picture.sha256]
    if unit is None:
        return EncoderInput(
            picture.sha256,
            lambda size: normalised(reference_views(picture.image, size, CROPS[0], 0.0, None)),
        )
    if unit.crop != "center":
        key.append(unit.crop)
    if unit.sharpening:
        key.append(f"sharpening {unit.sharpening}")
    if mask is not None:
        key.append(f"mask {mask.sha256}")
    return EncoderInput(
        "; ".join(key), lambda size: normalised(input_views(picture, unit, size, mask))
    )


def grey_input(picture: Picture, unit: Unit, mask: Picture | None = None) -> EncoderInput:
    """As `reference_input`, of the grey copy (ITU-R 601 luma)."""
    plain = reference_input(picture, unit, mask)

    def pixels(size: int) -> torch.Tensor:
        views = input_views(picture, unit, size, mask)
        return normalised([view.convert("L").convert("RGB") for view in views])

    return EncoderInput(f"{plain.key}; grey", pixels)


def flat_input(picture: Picture, unit: Unit, mask: Picture | None = None) -> EncoderInput:
    """As `grey_input`, with the mean grey of each crop all over it."""
    plain = reference_input(picture, unit, mask)

    def pixels(size: int) -> torch.Tensor:
        greys = [view.convert("L") for view in input_views(picture, unit, size, mask)]
        means = [round(ImageStat.Stat(grey).mean[0]) for grey in greys]
        return normalised([Image.new("RGB", (size, size), (mean,) * 3) for mean in means])

    return EncoderInput(f"{plain.key}; flat grey", pixels)


def negative_input(picture: Picture, unit: Unit, mask: Picture | None = None) -> EncoderInput:
    """As `reference_input`, with the noise of `unit`."""
    plain = reference_input(picture, unit, mask)
    if unit.noise == _NO_NOISE:
        return plain

    def pixels(size: int) -> torch.Tensor:
        views = input_views(picture, unit, size, mask)
        settings = (unit.noise, unit.noise_strength, round(unit.noise_blur))
        return normalised([noisy(view, *settings) for view in views])

    noise = f"{unit.noise} {unit.noise_strength} {unit.noise_blur}"
    return EncoderInput(f"{plain.key}; {noise}", pixels)


def input_views(
    picture: Picture, unit: Unit, size: int, mask: Picture | None = None
) -> list[Image.Image]:
    """The crops of `picture`, `size` x `size`, that the encoder is given."""
    marked = None if mask is None else mask.image
    return reference_views(picture.image, size, unit.crop, unit.sharpening, marked)


def has_negative_input(unit: Unit) -> bool:
    """Whether `unit` gives negative-prompt rows another input than the zero image."""
    return unit.negative_image is not None or unit.noise != _NO_NOISE
