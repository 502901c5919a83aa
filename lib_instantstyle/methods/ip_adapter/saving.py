"""The style to save for a checked unit."""

from __future__ import annotations

import io

import torch
from PIL import Image

from lib_instantstyle.clip.image_encoder import class_embedding
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods.ip_adapter.features import CheckedUnit, encoder_inputs
from lib_instantstyle.references.vectors import image_embeds
from lib_instantstyle.references.views import ZERO_IMAGE
from lib_instantstyle.styles.file import Style
from lib_instantstyle.styles.header import StyleInfo, now, settings_of

THUMBNAIL_SIZE = 256  # pixels, of the longer side


@torch.no_grad()
def style_of(checked: CheckedUnit, context: Context) -> Style:
    """The style of `checked`: its features, those for negative rows last, and its settings."""
    hidden, vectors = _features(checked, context)
    image_encoder = checked.choice.image_encoder
    fingerprint = class_embedding(image_encoder.path, image_encoder.kind).float()
    return Style(_info(checked), vectors, hidden, fingerprint)


def _features(checked: CheckedUnit, context: Context) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Hidden states [n + 1, N, W] and image vectors [n + 1, E], if the encoder has a projection."""
    inputs, negative = encoder_inputs(checked)
    image_encoder = checked.choice.image_encoder
    embeds = image_embeds(context)
    hidden = torch.stack(embeds.encode([*inputs, negative or ZERO_IMAGE], image_encoder, True))
    if not image_encoder.kind.embedding_width:
        return hidden, None
    vectors = embeds.encode(
        [*inputs, *([negative] if negative else [])], image_encoder, hidden=False
    )
    if negative is None:
        vectors.append(torch.zeros_like(vectors[0]))  # as a linear adapter was trained
    return hidden, torch.stack(vectors)


def _info(checked: CheckedUnit) -> StyleInfo:
    pictures, image_encoder = checked.pictures.references, checked.choice.image_encoder
    return StyleInfo(
        encoder=image_encoder.name,
        kind=image_encoder.kind,
        adapter=checked.choice.adapter.name,
        references=tuple(picture.sha256 for picture in pictures),
        weights=checked.pictures.weights,
        created=now(),
        settings=settings_of(checked.unit),
        thumbnail=_thumbnail(pictures[0].image),
    )


def _thumbnail(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIZE, THUMBNAIL_SIZE))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return file.getvalue()
