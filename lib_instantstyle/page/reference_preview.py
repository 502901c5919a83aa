"""What the page shows of a reference on request: the squares CLIP sees, the words CLIP has for it.

Each answer is HTML; what goes wrong is a sentence in its place.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.methods import TABLE
from lib_instantstyle.session import SESSION
from lib_instantstyle.units.unit import Unit

PREVIEW_SIZE = 224  # pixels; encoders that take more see the same part
CROP_FIELDS = ("crop", "sharpening", "reference_mask", "image")
WORD_FIELDS = ("adapter", "clip_source", "content", "content_scale", "content_mode", "image")
_NO_PICTURE = "Drop a reference picture first."
_LOOKING = '<div class="instantstyle-reading" role="status">Looking at the reference ...</div>'

Look = Callable[..., str]


@dataclass
class _Reading:
    """How far the words are read. One for all pages: the WebUI's queue lets one read at a time."""

    text: str = ""

    def tell(self, encoder: str, done: int, of: int) -> None:
        self.text = f"Reading {of:,} words with {encoder}, once: {done:,} of {of:,} ..."


def looking(image: str) -> str:
    """What stands in the place of the words until they are there."""
    return _LOOKING if image else ""


def reading() -> str:
    """How far the words are read, in a sentence; "" while none are."""
    return html.escape(SESSION.of(_Reading).text)


def _told(look: Callable[[Unit], str], names: tuple[str, ...]) -> Look:
    """`look` for the values of the fields `names`, with errors as sentences."""

    def answer(*values: object) -> str:
        given: Mapping[str, Any] = dict(zip(names, values))
        if not given["image"]:
            return _problem(_NO_PICTURE)
        try:
            return look(TABLE.parse_unit(given))
        except InstantStyleError as error:
            return _problem(str(error).removeprefix("unit 1: "))

    return answer


def _crops(unit: Unit) -> str:
    from lib_instantstyle.references.crops import reference_views
    from lib_instantstyle.references.unit_pictures import RequestPictures

    decoded = RequestPictures().decoded
    mask = decoded(unit.reference_mask, "reference_mask") if unit.reference_mask else None
    squares = []
    for reference in unit.image:
        picture = decoded(reference.image)
        squares += reference_views(
            picture.image, PREVIEW_SIZE, unit.crop, unit.sharpening, mask.image if mask else None
        )
    shown = "".join(
        f'<img src="{_data_url(square)}" alt="What the image encoder sees, {i}">'
        for i, square in enumerate(squares, start=1)
    )
    return f'<div class="instantstyle-squares">{shown}</div>'


def _words(unit: Unit) -> str:
    from lib_instantstyle.content.report import describe_content
    from lib_instantstyle.references.pictures import decode_picture

    try:
        picture = decode_picture(unit.image[0].image)
        report = describe_content(picture, unit, progress=SESSION.of(_Reading).tell)
    finally:
        SESSION.of(_Reading).text = ""
    words = "".join(
        '<button type="button" class="instantstyle-button instantstyle-word" '
        f'title="likeness {word.cosine:.2f}; click to add to, or take from, the content to remove">'
        f"{html.escape(word.noun)}</button>"
        for word in report.suggestions
    )
    said = [
        f"{text.text}: likeness {text.before:.2f}, {text.after:.2f} after taking it out."
        for text in report.texts
    ]
    said += [report.comment] if report.comment else []
    lines = "".join(f"<div>{html.escape(line)}</div>" for line in said)
    return f'<div class="instantstyle-words">{words}{lines}</div>'


def _data_url(image: Any) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _problem(sentence: str) -> str:
    sentence = sentence[:1].upper() + sentence[1:]
    return f'<div class="instantstyle-status instantstyle-problem">{html.escape(sentence)}</div>'


crops_of = _told(_crops, CROP_FIELDS)
words_of = _told(_words, WORD_FIELDS)
