"""How much of a reference's content a finished picture shows, by the same image encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from lib_instantstyle.content.similarity import cosines
from lib_instantstyle.content.subtraction import content_texts
from lib_instantstyle.content.text_encoders import content_source
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.hosts import Host, model_folders
from lib_instantstyle.methods import IP_ADAPTER
from lib_instantstyle.methods.ip_adapter.checked import naming
from lib_instantstyle.models.catalog import Catalog, ImageEncoderFile, scan
from lib_instantstyle.models.selection import choose
from lib_instantstyle.references.pictures import Picture, to_rgb
from lib_instantstyle.references.unit_pictures import pictures_of
from lib_instantstyle.references.vectors import CACHE, ImageEmbeds
from lib_instantstyle.references.views import EncoderInput, reference_input
from lib_instantstyle.styles.file import read_style
from lib_instantstyle.styles.library import library
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.plan import layer_weights
from lib_instantstyle.units.unit import Unit


@dataclass(frozen=True)
class LeakMeter:
    """What the pictures of one unit are compared with.

    references: [n, E]; several count by the mean of their cosines. texts: [m, E] of `content`,
    whose mean is what was subtracted.
    """

    number: int
    image_encoder: ImageEncoderFile
    references: torch.Tensor
    texts: torch.Tensor | None

    def read(self, picture: torch.Tensor) -> str:
        """The line about a picture whose image vector is `picture` [E]."""
        content = None
        if self.texts is not None:
            content = float(cosines(picture, self.texts.mean(dim=0, keepdim=True)))
        return leak_to_text(content, float(cosines(picture, self.references).mean()))


@torch.no_grad()
def leak_meters(
    units: Sequence[Unit], layers: UnetLayers, host: Host, p: Any
) -> tuple[LeakMeter, ...]:
    """The meters of those `units` that ask for one.

    Raises InstantStyleError where a picture or the words cannot be read.
    """
    asking = [unit for unit in units if unit.leak_meter and _adds_something(unit, layers)]
    if not asking:
        return ()
    catalog = scan(model_folders())
    return tuple(_meter(unit, layers, catalog, host, p) for unit in asking)


@torch.no_grad()
def measure(
    meters: Sequence[LeakMeter], image: Image.Image, host: Host, last: bool
) -> dict[str, str]:
    """What each meter reads of the finished picture `image`, by key of infotext.

    last: no other picture follows soon, so the encoder need not stay.
    """
    plain = to_rgb(image)
    digest = hashlib.sha256(repr(plain.size).encode() + plain.tobytes()).hexdigest()
    encoder_input = reference_input(Picture(plain, digest))
    found = {}
    for meter in meters:
        (vector,) = _vectors([encoder_input], meter.image_encoder, host, keep=True)
        found[LEAK_KEY.format(meter.number)] = meter.read(vector)
    if last and not host.keeps_encoder():
        CACHE.release_encoder()
    return found


def _meter(unit: Unit, layers: UnetLayers, catalog: Catalog, host: Host, p: Any) -> LeakMeter:
    with naming(unit):
        if unit.style:
            image_encoder, references = _saved_references(unit, catalog)
        else:
            image_encoder = _image_encoder(unit, layers, catalog)
            pictures = pictures_of(unit, host)
            inputs = [
                reference_input(each, unit, pictures.reference_mask) for each in pictures.references
            ]
            references = torch.stack(_vectors(inputs, image_encoder, host, host.keeps_encoder()))
        texts = None
        if named := content_texts(unit.content):
            source = content_source(references.shape[1], unit.clip_source, catalog, host, p)
            texts = source.encoder.vectors(named)
        return LeakMeter(unit.number, image_encoder, references, texts)


def _saved_references(unit: Unit, catalog: Catalog) -> tuple[ImageEncoderFile, torch.Tensor]:
    """The encoder that made the unit's saved style, which has to be here, and its vectors."""
    style = read_style(library().find(unit.style).path)
    for image_encoder in catalog.image_encoders:
        if (
            style.vectors is not None
            and style.is_by(image_encoder)
            and image_encoder.kind.embedding_width
        ):
            return image_encoder, style.vectors[:-1]
    raise InstantStyleError(
        f"leak_meter is on, but the image encoder {style.info.encoder} that style "
        f"{shorten(unit.style)} was made with was not found, or makes no image vectors; switch "
        "leak_meter off."
    )


def _adds_something(unit: Unit, layers: UnetLayers) -> bool:
    return unit.method != IP_ADAPTER.name or bool(layer_weights(unit, layers))


def _vectors(
    inputs: Sequence[EncoderInput], image_encoder: ImageEncoderFile, host: Host, keep: bool
) -> list[torch.Tensor]:
    device, dtype = host.device(), host.encoder_dtype()
    return ImageEmbeds(device, dtype, keep, host).encode(inputs, image_encoder, hidden=False)


def check_meter(unit: Unit, layers: UnetLayers, catalog: Catalog) -> None:
    """Raises InstantStyleError where `unit` asks for a meter that could not be read."""
    if unit.leak_meter and _adds_something(unit, layers):
        if unit.style:
            _saved_references(unit, catalog)
        else:
            _image_encoder(unit, layers, catalog)


def _image_encoder(unit: Unit, layers: UnetLayers, catalog: Catalog) -> ImageEncoderFile:
    """The unit's own image encoder if it makes vectors, else the first one that does."""
    image_encoders = list(catalog.image_encoders)
    if unit.method == IP_ADAPTER.name:
        image_encoders.insert(
            0, choose(unit.adapter, catalog, layers, layer_weights(unit, layers)).image_encoder
        )
    for image_encoder in image_encoders:
        if image_encoder.kind.embedding_width:
            return image_encoder
    raise InstantStyleError(
        "leak_meter is on, but no CLIP image encoder with a projection to image vectors was "
        "found; put one into models/clip_vision, or switch leak_meter off."
    )


# What the leak meter writes about a picture.
#
# One key of infotext for each unit and picture, `InstantStyle 1 leak: content 0.21, reference
# 0.63`: CLIP's cosine of the picture with the words of `content`, where there are any, and with the
# reference.

LEAK_KEY = "InstantStyle {} leak"  # in infotext, by unit


def leak_to_text(content: float | None, reference: float) -> str:
    """The value of the key."""
    named = "" if content is None else f"content {content:.3f}, "
    return f"{named}reference {reference:.3f}"
