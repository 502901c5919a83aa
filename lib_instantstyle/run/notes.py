"""Sentences for the user about a generation: a comment on the page, and a note in infotext.

The API hands out infotext and no comments, so that whatever is said is written there, too:
`InstantStyle 1 note: ...`, several sentences one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from lib_instantstyle.units.ineffective import ineffective
from lib_instantstyle.units.infotext import NOTE_KEY
from lib_instantstyle.units.unit import Unit

# Set while a request's field `infotext` is read: gives what of it was lost. Each request of the API
# runs in a context of its own. So does pasting on the page, which shows the same by itself.
PASTED: ContextVar[Callable[[], Sequence[str]] | None] = ContextVar("pasted infotext", default=None)


def note_losses(p: Any) -> None:
    """Say what was lost of the infotext that the arguments of this request were read from."""
    pasted = PASTED.get()
    lost = pasted() if pasted and getattr(p, "is_api", False) else ()
    if lost:
        note(p, 1, f"not all of the infotext was taken over: {'; '.join(lost)}.")


def note_ineffective(p: Any, units: Sequence[Unit]) -> None:
    """Tell a client of the API which fields of its `units` change nothing; the page hides them."""
    for unit in units if getattr(p, "is_api", False) else ():
        for sentence in ineffective(unit):
            note(p, unit.number, sentence)


def note(p: Any, number: int, sentence: str) -> None:
    """Tell the user `sentence` about unit `number` of the generation `p`, once."""
    p.comment(f"InstantStyle: {sentence}")
    key = NOTE_KEY.format(number)
    written = p.extra_generation_params.get(key, "")
    if sentence not in written:
        p.extra_generation_params[key] = f"{written} {sentence}".strip()
