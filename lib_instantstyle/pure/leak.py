"""What the leak meter writes about a picture.

One key of infotext for each unit and picture, `InstantStyle 1 leak: content 0.21, reference 0.63`:
CLIP's cosine of the picture with the words of `content`, where there are any, and with the
reference.
"""

from __future__ import annotations

LEAK_KEY = "InstantStyle {} leak"  # in infotext, by unit


def leak_to_text(content: float | None, reference: float) -> str:
    """The value of the key."""
    named = "" if content is None else f"content {content:.3f}, "
    return f"{named}reference {reference:.3f}"
