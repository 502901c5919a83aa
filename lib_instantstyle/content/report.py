"""What a reference shows, in the words that CLIP finds most like it, and what is subtracted.

It uses the loaded checkpoint and needs no generation. The text vectors of the suggested words are
computed once for each text encoder and read from disk afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from lib_instantstyle.content.similarity import best_matches, cosines
from lib_instantstyle.content.subtraction import check_subtraction, content_texts, remove_content
from lib_instantstyle.content.text_encoders import ContentSource, content_source
from lib_instantstyle.content.word_vectors import caption, nouns, word_vectors
from lib_instantstyle.hosts import Host, loaded_checkpoint
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
class Similarity:
    """Cosines, -1 to 1, of the reference's image vector with one text of `content`."""

    text: str
    before: float
    after: float  # after the subtraction


@dataclass(frozen=True)
class Suggestion:
    """A noun for what the reference may show, and its cosine with the image vector."""

    noun: str
    cosine: float


@dataclass(frozen=True)
class ContentReport:
    """What a reference shows and what the subtraction of `content` removes.

    removed: length of the removed vector over that of the image vector. agreement, comment: see
    ContentSource.
    """

    adapter: str
    image_encoder: str
    text_encoder: str
    agreement: float | None
    texts: tuple[Similarity, ...]
    removed: float
    suggestions: tuple[Suggestion, ...]
    comment: str


def describe_content(
    picture: Picture, unit: Unit, count: int = SUGGESTIONS, progress: Progress | None = None
) -> ContentReport:
    """The report on `picture` with the settings of `unit`, for the loaded checkpoint.

    count: how many words to suggest; with 0 no word vectors are computed. progress: called while
    they are. Waits for a running generation, so the caller must not hold the WebUI's queue lock.
    Raises InstantStyleError if the adapter, image encoder or text encoder is missing.
    """
    with queue_lock(), torch.no_grad():
        context = Context.of(loaded_checkpoint())
        choice = choose(unit.adapter, context.catalog, context.known_layers)
        check_subtraction(choice.adapter)
        image = _encoded(picture, unit, choice.image_encoder, context)
        source = content_source(len(image), unit.clip_source, context)
        texts, removed = _subtraction(image, unit, source)
        return ContentReport(
            adapter=choice.adapter.name,
            image_encoder=choice.image_encoder.name,
            text_encoder=source.encoder.title,
            agreement=source.agreement,
            texts=texts,
            removed=removed,
            suggestions=suggest(image, source, context.host, count, progress),
            comment=source.comment,
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


def suggest(
    image: torch.Tensor,
    source: ContentSource,
    host: Host,
    count: int = SUGGESTIONS,
    progress: Progress | None = None,
) -> tuple[Suggestion, ...]:
    """The `count` nouns that are most like the image vector [E], best first."""
    if not count:
        return ()
    names = nouns()

    def report_progress(done: int) -> None:
        if progress:
            progress(source.encoder.title, done, len(names))

    captions = [caption(noun) for noun in names]
    vectors = word_vectors(source.encoder, captions, host.cache_folder(), report_progress)
    return tuple(Suggestion(*found) for found in best_matches(image, vectors, names, count))


def _subtraction(
    image: torch.Tensor, unit: Unit, source: ContentSource
) -> tuple[tuple[Similarity, ...], float]:
    texts = content_texts(unit.content)
    if not texts:
        return (), 0.0
    vectors = source.encoder.vectors(texts)
    left = remove_content(image, list(vectors), unit.content_scale, unit.content_mode)
    before, after = cosines(image, vectors), cosines(left, vectors)
    found = tuple(Similarity(text, float(b), float(a)) for text, b, a in zip(texts, before, after))
    return found, float((image - left).norm() / image.norm())
