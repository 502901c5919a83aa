"""What the leak meter writes about a picture, and how it is read again.

One key of infotext for each unit and picture, `InstantStyle 1 leak: content 0.21, reference 0.63`:
CLIP's cosine of the picture with the words of `content`, where there are any, and with the
reference.
"""

from __future__ import annotations

import re

LEAK_KEY = "InstantStyle {} leak"  # in infotext, by unit
CONTENT, REFERENCE = "content", "reference"
_PAIR = re.compile(rf"({CONTENT}|{REFERENCE}) (-?\d+\.\d+)")


def leak_to_text(content: float | None, reference: float) -> str:
    """The value of the key."""
    named = "" if content is None else f"{CONTENT} {content:.3f}, "
    return f"{named}{REFERENCE} {reference:.3f}"


def text_to_leak(text: str) -> dict[str, float]:
    """The cosines in `text`, by name."""
    return {name: float(value) for name, value in _PAIR.findall(text)}
