"""What a reference shows, in the words that CLIP finds most like it, and what is taken out.

It uses the loaded checkpoint and needs no generation. The text vectors of the suggested words are
computed once for each text encoder and read from disk afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from lib_instantstyle.content.removal import Similarity, removal_of
from lib_instantstyle.content.subtraction import ContentReader, check_subtraction
from lib_instantstyle.content.suggestions import Suggestion
from lib_instantstyle.content.text_encoders import content_source
from lib_instantstyle.hosts import loaded_checkpoint
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.live import queue_lock
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.models.selection import choose
from lib_instantstyle.references.pictures import Picture, decode_picture
from lib_instantstyle.references.unit_pictures import BLACK
from lib_instantstyle.references.vectors import image_embeds
from lib_instantstyle.references.views import reference_input
from lib_instantstyle.units.unit import Unit

SUGGESTIONS = 8
Progress = Callable[[str, int, int], None]
"""Called with the title of a text encoder, the number of words encoded, and of all words."""


@dataclass(frozen=True)
class ContentReport:
    """What a reference shows, and what a unit takes out of it in its content_mode.

    agreement, comment: see ContentSource. texts, removed, masked, elements: see Removal.
    auto_content: the words among `texts` that the reference suggests, as many as the unit asks for.
    """

    adapter: str
    image_encoder: str
    text_encoder: str
    agreement: float | None
    texts: tuple[Similarity, ...]
    removed: float
    suggestions: tuple[Suggestion, ...]
    comment: str
    content_mode: str
    masked: int | None
    elements: int
    auto_content: tuple[str, ...]


def describe_content(
    picture: Picture, unit: Unit, count: int = SUGGESTIONS, progress: Progress | None = None
) -> ContentReport:
    """The report on `picture` with the settings of `unit`, for the loaded checkpoint.

    count: how many words to suggest; with 0, and no auto_content, no word vectors are computed.
    progress: called while they are. Waits for a running generation, so the caller must not hold the
    WebUI's queue lock.
    Raises InstantStyleError if the adapter, image encoder or text encoder is missing.
    """
    with queue_lock(), torch.no_grad():
        context = Context.of(loaded_checkpoint())
        choice = choose(unit.adapter, context.catalog, context.known_layers)
        check_subtraction(choice.adapter, unit)
        image = _encoded(picture, unit, choice.image_encoder, context)
        source = content_source(len(image), unit.clip_source, context)

        def report_progress(done: int, total: int) -> None:
            if progress:
                progress(source.encoder.title, done, total)

        reader = ContentReader(unit, source, context.host, report_progress)
        removal = removal_of(image, unit, reader)
        return ContentReport(
            adapter=choice.adapter.name,
            image_encoder=choice.image_encoder.name,
            text_encoder=source.encoder.title,
            agreement=source.agreement,
            texts=removal.texts,
            removed=removal.removed,
            suggestions=reader.vocabulary.suggest(image, count) if count else (),
            comment=source.comment,
            content_mode=unit.content_mode,
            masked=removal.masked,
            elements=removal.elements,
            auto_content=removal.suggested,
        )


def _encoded(
    picture: Picture, unit: Unit, image_encoder: ImageEncoderFile, context: Context
) -> torch.Tensor:
    """The image vector [E] of `picture` with the unit's crop and mask."""
    mask = None
    if unit.reference_mask:
        mask = decode_picture(unit.reference_mask, "reference_mask", BLACK)
    encoder_input = reference_input(picture, unit, mask)
    (image,) = image_embeds(context).encode([encoder_input], image_encoder, hidden=False)
    return image
