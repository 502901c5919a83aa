"""CLIP's tokens: what every text encoder of this family shares."""

from __future__ import annotations

from collections.abc import Sequence

from lib_instantstyle.pure.errors import InstantStyleError, shorten

START, END = 49406, 49407
MAX_TOKENS = 75  # between start and end


def check_length(content: str, ids: Sequence[int]) -> None:
    """Raise InstantStyleError if the token ids of a content text do not fit one chunk.

    A prompt would go on in a second chunk, whose vector would be thrown away.
    """
    if len(ids) > MAX_TOKENS:
        raise InstantStyleError(
            f"content {shorten(content)} has {len(ids)} tokens; up to {MAX_TOKENS} are allowed."
        )
