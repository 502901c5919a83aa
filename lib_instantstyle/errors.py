"""The one error a user ever reads."""

from __future__ import annotations


class InstantStyleError(ValueError):
    """Something asked for cannot be had.

    Its text is one sentence for a person: it names the field or file, what came, and what is
    allowed. The host layer turns it into an HTTP 422 or a message on the page.
    """


class MissingFileError(InstantStyleError):
    """A model file is needed that is nowhere in the folders."""


class NoReference(InstantStyleError):
    """A unit is on but has no reference; the sentence names the unit itself."""


def shorten(value: object, limit: int = 60) -> str:
    """`value` as it may stand in a sentence: quoted, on one line, never a whole picture."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
