"""Taking the content out of a reference's image vector.

InstantStyle subtracts the CLIP vector of a text that names the content from the image vector,
before the adapter's projection: both live in one space. Source: arXiv 2404.02733, section 3.1;
neither vector is normalised.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

PROJECTION = "projection"
SEPARATOR = "|"


def content_texts(content: str) -> list[str]:
    """The texts in a `content` field: `|` separates several."""
    return [text.strip() for text in content.split(SEPARATOR) if text.strip()]


def remove_content(
    image: torch.Tensor, texts: Sequence[torch.Tensor], scale: float, mode: str
) -> torch.Tensor:
    """Image vectors [..., E] without the content that the text vectors [E] name.

    Several texts are averaged. "difference": image - scale * text. "projection": image - scale *
    (image . u) u with the unit vector u of the text; only what points along the text is removed.
    """
    if not texts or not scale:
        return image
    text = torch.stack([t.to(image) for t in texts]).mean(dim=0)
    if mode == PROJECTION:
        unit = text / text.norm().clamp_min(torch.finfo(text.dtype).tiny)
        text = (image @ unit).unsqueeze(-1) * unit
    left: torch.Tensor = image - scale * text
    return left
