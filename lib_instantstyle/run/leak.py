"""The leak meter: how much of a reference's content a finished picture shows.

It compares the CLIP image vector of the picture with those of the references, and with the text
vectors of `content` and of the words that `auto_content` takes out. Infotext has a line for each
unit and picture, `InstantStyle 1 leak: content 0.21, reference 0.63`: the cosines with the words,
if there are any, and with the references.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from lib_instantstyle.content.similarity import cosines
from lib_instantstyle.content.subtraction import (
    ContentReader,
    content_texts,
    takes_content_out,
)
from lib_instantstyle.content.text_encoders import content_source
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods import load
from lib_instantstyle.methods.base import naming
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.references.rgb import to_rgb
from lib_instantstyle.references.unit_pictures import pictures_of
from lib_instantstyle.references.vectors import cache, image_embeds
from lib_instantstyle.references.views import reference_input
from lib_instantstyle.styles.file import read_style
from lib_instantstyle.styles.library import library
from lib_instantstyle.units.unit import Unit

LEAK_KEY = "InstantStyle {} leak"  # in infotext, by unit


@dataclass(frozen=True)
class LeakMeter:
    """The vectors that the pictures of one unit are compared with.

    references: [n, E], image vectors; the cosines of several are averaged. texts: [m, E], vectors
    of the texts of `content` and of the words that the references suggest, averaged as for the
    subtraction; None without both.
    """

    number: int
    image_encoder: ImageEncoderFile
    references: torch.Tensor
    texts: torch.Tensor | None

    def read(self, picture: torch.Tensor) -> str:
        """The infotext line of a picture with the image vector `picture` [E]."""
        content = None
        if self.texts is not None:
            content = float(cosines(picture, self.texts.mean(dim=0, keepdim=True)))
        return leak_to_text(content, float(cosines(picture, self.references).mean()))


@torch.no_grad()
def leak_meters(units: Sequence[Unit], context: Context) -> tuple[LeakMeter, ...]:
    """A meter for each of the acting `units`, whose `leak_meter` is on.

    Raises InstantStyleError if a reference or the content cannot be encoded.
    """
    return tuple(_meter(unit, context) for unit in units)


@torch.no_grad()
def measure(
    meters: Sequence[LeakMeter], image: Image.Image, context: Context, last: bool
) -> dict[str, str]:
    """The infotext lines of the finished picture `image`, by key.

    last: whether it is the last picture of its batch, after which the encoder may be freed.
    """
    plain = to_rgb(image)
    digest = hashlib.sha256(repr(plain.size).encode() + plain.tobytes()).hexdigest()
    encoder_input = reference_input(Picture(plain, digest))
    embeds = image_embeds(context, keep=True, on_disk=False)
    found = {}
    for meter in meters:
        (vector,) = embeds.encode([encoder_input], meter.image_encoder, hidden=False)
        found[LEAK_KEY.format(meter.number)] = meter.read(vector)
    if last and not context.host.keeps_encoder():
        cache().release_encoder()
    return found


def check_meter(unit: Unit, context: Context) -> None:
    """Raise InstantStyleError if the `leak_meter` of `unit` is on and cannot measure."""
    if not unit.leak_meter:
        return
    if unit.style:
        _saved_references(unit, context)
        return
    if not unit.image:
        raise InstantStyleError(
            "leak_meter is on, but the unit has no reference picture to compare with; add one, or "
            "switch leak_meter off."
        )
    _image_encoder(unit, context)


def leak_to_text(content: float | None, reference: float) -> str:
    """The infotext line for two cosines; content: None if the unit names none."""
    named = "" if content is None else f"content {content:.3f}, "
    return f"{named}reference {reference:.3f}"


def _meter(unit: Unit, context: Context) -> LeakMeter:
    with naming(unit, context):
        check_meter(unit, context)
        if unit.style:
            image_encoder, references = _saved_references(unit, context)
        else:
            image_encoder = _image_encoder(unit, context)
            pictures = pictures_of(unit, context)
            inputs = [
                reference_input(each, unit, pictures.reference_mask) for each in pictures.references
            ]
            embeds = image_embeds(context, on_disk=False)
            references = torch.stack(embeds.encode(inputs, image_encoder, hidden=False))
        return LeakMeter(unit.number, image_encoder, references, _texts(unit, references, context))


def _texts(unit: Unit, references: torch.Tensor, context: Context) -> torch.Tensor | None:
    """Vectors [m, E] of the texts of `content`, and of what each of the references suggests."""
    suggests = takes_content_out(unit) and unit.auto_content
    if not content_texts(unit.content) and not suggests:
        return None
    source = content_source(references.shape[1], unit.clip_source, context)
    if not suggests:
        return source.encoder.vectors(content_texts(unit.content))
    reader = ContentReader(unit, source, context.host)
    words = [reader.read(image) for image in references]
    named = len(words[0].named)
    texts = torch.cat([words[0].vectors[:named], *(each.vectors[named:] for each in words)])
    return texts if len(texts) else None


def _saved_references(unit: Unit, context: Context) -> tuple[ImageEncoderFile, torch.Tensor]:
    """The image encoder that made the unit's saved style, and the style's image vectors [n, E]."""
    style = read_style(library(unit.table).find(unit.style).path)
    for image_encoder in context.catalog.image_encoders:
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


def _image_encoder(unit: Unit, context: Context) -> ImageEncoderFile:
    """The unit's own image encoder if it has a projection, else the first one that has."""
    own = load(unit.method).image_encoder(unit, context)
    for image_encoder in (*([own] if own else []), *context.catalog.image_encoders):
        if image_encoder.kind.embedding_width:
            return image_encoder
    raise InstantStyleError(
        "leak_meter is on, but no CLIP image encoder with a projection to image vectors was "
        "found; put one into models/clip_vision, or switch leak_meter off."
    )
