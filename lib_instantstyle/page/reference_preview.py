"""What CLIP makes of a reference, shown by two buttons: its crops, and the words most like it.

Both are HTML; an error is a sentence in their place.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.markup import error_sentence, problem_box
from lib_instantstyle.session import SESSION
from lib_instantstyle.units.unit import Unit

PREVIEW_SIZE = 224  # pixels; an encoder for larger crops is shown the same part
CROP_FIELDS = ("crop", "sharpening", "reference_mask", "image")
WORD_FIELDS = (
    "adapter", "clip_source", "content", "content_scale", "content_mode", "content_share",
    "auto_content", "image",
)  # fmt: skip
_NO_PICTURE = "Drop a reference picture first."
_WAITING = '<div class="instantstyle-reading" role="status">Looking at the reference ...</div>'


@dataclass
class _WordProgress:
    """How many words are encoded, as a sentence; "" while none are.

    One for all pages, because the WebUI's queue lets one of them encode at a time.
    """

    text: str = ""

    def update(self, encoder: str, done: int, total: int) -> None:
        self.text = f"Reading {total:,} words with {encoder}, once: {done:,} of {total:,} ..."


def waiting(image: str) -> str:
    """HTML that stands in the place of the words until they are there; "" without a reference."""
    return _WAITING if image else ""


def word_progress() -> str:
    """How many words are encoded, as a sentence in HTML; "" while none are."""
    return html.escape(SESSION.of(_WordProgress).text)


def crops_of(*values: object) -> str:
    """The crops of the reference, for the values of CROP_FIELDS."""
    return _shown(_crops, CROP_FIELDS, values)


def words_of(*values: object) -> str:
    """The words most like the reference, for the values of WORD_FIELDS."""
    return _shown(_words, WORD_FIELDS, values)


def _shown(show: Callable[[Unit], str], names: Sequence[str], values: Sequence[object]) -> str:
    """`show` of the unit whose fields `names` have these values, or the sentence of its error."""
    given: Mapping[str, Any] = dict(zip(names, values))
    if not given["image"]:
        return problem_box(_NO_PICTURE)
    try:
        return show(TABLE.parse_unit(given))
    except InstantStyleError as error:
        return problem_box(error_sentence(error))


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
        report = describe_content(picture, unit, progress=SESSION.of(_WordProgress).update)
    finally:
        SESSION.of(_WordProgress).text = ""
    words = "".join(
        '<button type="button" class="instantstyle-button instantstyle-word" '
        f'title="likeness {word.cosine:.2f}; click to add to, or take from, the content to remove">'
        f"{html.escape(word.noun)}</button>"
        for word in report.suggestions
    )
    lines = [
        f"{text.text}: likeness {text.before:.2f}, {text.after:.2f} after taking it out."
        for text in report.texts
    ]
    if report.texts:
        elements = "" if report.masked is None else f", {report.masked:,} of {report.elements:,} "
        elements += "elements of it" if elements else ""
        lines.append(
            f"{report.content_mode} takes out {report.removed:.0%} of the length of the image "
            f"vector{elements}."
        )
    lines += [report.comment] if report.comment else []
    below = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
    return f'<div class="instantstyle-words">{words}{below}</div>'


def _data_url(image: Any) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
