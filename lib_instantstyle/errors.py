"""The errors whose text the user reads."""

from __future__ import annotations


class InstantStyleError(ValueError):
    """A request that cannot be fulfilled.

    Its text is one sentence for the user: it names the field or file, its value, and what is
    allowed. hosts/refusal.py turns it into an HTTP 422 or a message on the page.
    """


class MissingFileError(InstantStyleError):
    """A model file that is needed is in none of the folders."""


class NoReference(InstantStyleError):
    """A unit is on but has no reference; the sentence names the unit itself."""


def shorten(value: object, limit: int = 60) -> str:
    """`value` for use in a sentence: its repr on one line, cut to `limit` characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
