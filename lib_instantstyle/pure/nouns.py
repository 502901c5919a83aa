"""Everyday things that a reference may show, to be suggested as content to remove.

The list is our own: lower case, singular, one word or two, no proper names and no brands.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

LIST = Path(__file__).parents[1] / "data" / "nouns.txt"


@cache
def nouns() -> tuple[str, ...]:
    """About 1,500 nouns, sorted."""
    return tuple(LIST.read_text(encoding="utf-8").split("\n")[:-1])


def caption(noun: str) -> str:
    """The sentence that stands for `noun` in a comparison with a picture.

    CLIP was trained on captions, not on single words. "Picture" and not "photo": references are
    paintings and drawings as often.
    """
    return f"a picture of {'an' if noun[0] in 'aeiou' else 'a'} {noun}"
