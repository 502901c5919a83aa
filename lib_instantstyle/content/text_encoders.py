"""Which text encoder encodes the content of a unit: the checkpoint's own, or one from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_instantstyle.content.similarity import MIN_AGREEMENT, PROBE_WORDS, agreement, stock_vectors
from lib_instantstyle.content.text_vectors import FileTextEncoder
from lib_instantstyle.content.word_vectors import word_vectors
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import Host, TextEmbedder
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.models.catalog import Catalog, TextEncoderFile
from lib_instantstyle.units.choices import AUTO, FILE, LOADED

# By the width of the vectors: the CLIP model, and where to download its text encoder.
_WANTED = {
    768: ("ViT-L/14", "model.safetensors of openai/clip-vit-large-patch14"),
    1024: ("ViT-H/14", "open_clip_pytorch_model of laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
    1280: ("ViT-bigG/14", "text_encoder_2 of stabilityai/stable-diffusion-xl-base-1.0"),
}
FOLDER = "models/InstantStyle"


@dataclass(frozen=True)
class ContentSource:
    """A text encoder whose vectors can be subtracted from image vectors.

    agreement: mean cosine of the loaded encoder's vectors with the stock one's; None if it was
    not measured, or there is no stock encoder to compare with. comment: a sentence for the user,
    or "".
    """

    encoder: TextEmbedder
    agreement: float | None = None
    comment: str = ""


def content_source(width: int, clip_source: str, context: Context) -> ContentSource:
    """The text encoder for an image encoder with vectors of `width` numbers.

    clip_source: one of choices.CLIP_SOURCES; "auto" takes the loaded encoder if its vectors agree
    with the stock one's, else a file. Raises InstantStyleError that says why there is none, and
    which file to put where.
    """
    host, catalog = context.host, context.catalog
    file = _file_encoder(width, context)
    if clip_source == FILE:
        if file is None:
            raise InstantStyleError(
                f"clip_source is 'file', but no text encoder file with vectors of {width} numbers "
                f"was found{_found(catalog.text_encoders)}; put {wanted(width)} into {FOLDER}."
            )
        return ContentSource(file)
    loaded = host.text_encoder(context.p)
    if loaded is None or loaded.width != width:
        if clip_source == AUTO and file is not None:
            return ContentSource(file)
        raise InstantStyleError(_nothing_fits(loaded, width, clip_source, file, catalog))
    measured = _agreement(loaded, file, host)
    if measured is None or measured >= MIN_AGREEMENT:
        return ContentSource(loaded, measured)
    strays = (
        f"{loaded.title} was trained away from the image encoder (its vectors agree "
        f"with the stock encoder's to {measured:.2f}, {MIN_AGREEMENT:g} is needed)"
    )
    if clip_source == AUTO and file is not None:
        return ContentSource(file, measured, f"{strays}; the content was read by {file.title}.")
    advice = (
        "clip_source 'file' takes the stock one"
        if file
        else (f"for a clean subtraction put {wanted(width)} into {FOLDER}")
    )
    return ContentSource(loaded, measured, f"{strays}; {advice}.")


def wanted(width: int) -> str:
    """The text encoder with vectors of `width` numbers, and where to download it."""
    if width not in _WANTED:
        return f"a CLIP text encoder with vectors of {width} numbers"
    title, source = _WANTED[width]
    return f"the text encoder of {title} ({source})"


def _file_encoder(width: int, context: Context) -> FileTextEncoder | None:
    host = context.host
    for file in context.catalog.text_encoders:
        if file.kind.embedding_width == width:
            return FileTextEncoder(
                file,
                lambda texts: host.token_ids(context.p, texts),
                host.device(),
                host.encoder_dtype(),
                host.make_room,
                context.notify,
            )
    return None


def _agreement(loaded: TextEmbedder, file: TextEmbedder | None, host: Host) -> float | None:
    """The agreement of `loaded` with the stock encoder, or with `file` if there is no stock one.

    The vectors of both are kept on disk, so that no encoder runs after the first time.
    """
    stock = stock_vectors(loaded.width)
    if stock is None and file is None:
        return None
    if stock is None and file is not None:
        stock = word_vectors(file, PROBE_WORDS, host.cache_folder()).float()
    assert stock is not None
    return agreement(word_vectors(loaded, PROBE_WORDS, host.cache_folder()).float(), stock)


def _nothing_fits(
    loaded: TextEmbedder | None,
    width: int,
    clip_source: str,
    file: TextEmbedder | None,
    catalog: Catalog,
) -> str:
    if loaded is None:
        why = "the loaded checkpoint has no text encoder that ends in the space of pictures"
    else:
        why = f"{loaded.title} makes vectors of {loaded.width} numbers, {width} are needed"
    if clip_source == LOADED:
        help_ = "choose clip_source 'auto'" if file else f"put {wanted(width)} into {FOLDER}"
        return f"clip_source is 'loaded', but {why}; {help_}, or clear content."
    return (
        f"content cannot be read: {why}, and no text encoder file that does was found"
        f"{_found(catalog.text_encoders)}; put {wanted(width)} into {FOLDER}, or clear content."
    )


def _found(files: Sequence[TextEncoderFile]) -> str:
    listed = ", ".join(
        f"{file.name} makes {file.kind.embedding_width}"
        if file.kind.embedding_width
        else f"{file.name} has no projection"
        for file in files
    )
    return f" (found: {listed})" if listed else ""
