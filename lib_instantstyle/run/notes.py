"""Sentences for the user about a generation: a comment on the page, and a note in infotext.

The API hands out infotext and no comments, so that whatever is said is written there, too:
`InstantStyle 1 note: ...`, several sentences one after the other.
"""

from __future__ import annotations

from typing import Any

from lib_instantstyle.units.infotext import NOTE_KEY


def note(p: Any, number: int, sentence: str) -> None:
    """Tell the user `sentence` about unit `number` of the generation `p`, once."""
    p.comment(f"InstantStyle: {sentence}")
    key = NOTE_KEY.format(number)
    written = p.extra_generation_params.get(key, "")
    if sentence not in written:
        p.extra_generation_params[key] = f"{written} {sentence}".strip()
