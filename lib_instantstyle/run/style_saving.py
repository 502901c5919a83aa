"""From a unit with references to a saved style."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timezone

import torch
from PIL import Image

from lib_instantstyle.clip.image_encoder import class_embedding
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.hosts import Host, current, loaded_checkpoint, model_folders, queue_lock
from lib_instantstyle.methods.ip_adapter.checked import CheckedUnit, check
from lib_instantstyle.methods.ip_adapter.features import encoder_inputs
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.references.vectors import ImageEmbeds
from lib_instantstyle.references.views import ZERO_IMAGE
from lib_instantstyle.styles.file import Style, read_style, write_style
from lib_instantstyle.styles.header import StyleInfo, settings_of
from lib_instantstyle.styles.library import SavedStyle, library
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.units.unit import Unit

THUMBNAIL_SIZE = 256  # pixels, of the longer side


def save_style(unit: Unit, name: str) -> SavedStyle:
    """Save references and settings of `unit` as the style `name`.

    The encoder is the one that the unit's adapter takes, for `auto` with the loaded checkpoint.
    What the unit does to its references (crop, reference_mask, noise) and its negative_image are in
    the features; a mask is no part of a style. Waits for the WebUI's queue lock.
    Raises InstantStyleError: a name that is taken or not allowed, a unit without reference, a file
    that is missing, a folder that cannot be written to.
    """
    if not unit.declared.takes_styles:
        usual = unit.table.usual_method
        raise InstantStyleError(
            f"method {unit.method} works on the picture itself; a style is saved for {usual}."
        )
    styles = library()
    clean = styles.free_name(name)
    style = _kept(unit) if unit.style else _encoded(unit)
    try:
        write_style(styles.path_of(clean), style)
    except OSError as error:
        raise InstantStyleError(
            f"style {shorten(clean)} cannot be saved ({error.strerror})."
        ) from error
    return styles.find(clean)


def _kept(unit: Unit) -> Style:
    """The features of a style that is there already, with other settings."""
    style = read_style(library().find(unit.style).path)
    info = replace(style.info, settings=settings_of(unit), created=_now())
    return replace(style, info=info)


@torch.no_grad()
def _encoded(unit: Unit) -> Style:
    checkpoint = loaded_checkpoint()
    host = current(checkpoint)
    with queue_lock():  # a generation under way must not find the device taken
        layers = find_layers(host.unet(checkpoint))
        checked = check(unit, layers, scan(model_folders()), host)
        if checked is None:
            raise InstantStyleError("all weights are 0; give one to the blocks that matter.")
        hidden, vectors = _features(checked, host)
    image_encoder = checked.choice.image_encoder
    fingerprint = class_embedding(image_encoder.path, image_encoder.kind).float()
    return Style(_info(checked), vectors, hidden, fingerprint)


def _features(checked: CheckedUnit, host: Host) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Hidden states and image vectors of the references and, last, of what negative rows get."""
    inputs, negative = encoder_inputs(checked)
    image_encoder = checked.choice.image_encoder
    embeds = ImageEmbeds(
        host.device(), host.encoder_dtype(), host.keeps_encoder(), host, host.embedding_files()
    )
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
        created=_now(),
        settings=settings_of(checked.unit),
        thumbnail=_thumbnail(pictures[0].image),
    )


def _thumbnail(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIZE, THUMBNAIL_SIZE))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return file.getvalue()


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
