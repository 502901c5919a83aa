"""How like a picture and texts are, by CLIP. Source: Radford et al. 2021, arXiv 2103.00020."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F


def cosines(image: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    """Cosine [n] of an image vector [E] to each of the text vectors [n, E], on the CPU.

    For CLIP a good match is about 0.3; a text that has nothing to do with a picture 0.1.
    """
    return F.cosine_similarity(image.float().cpu()[None], texts.float(), dim=1)


def best_matches(
    image: torch.Tensor, texts: torch.Tensor, names: Sequence[str], count: int
) -> list[tuple[str, float]]:
    """The `count` names whose text vectors [n, E] are most like the image vector [E], best first.

    Names that say the same with one word more (black cat, cat) are named once.
    """
    found: list[tuple[str, float]] = []
    measured = cosines(image, texts)
    for i in measured.argsort(descending=True).tolist():
        words = set(names[i].split())
        if len(found) == count:
            break
        if not any(words <= set(name.split()) or words >= set(name.split()) for name, _ in found):
            found.append((names[i], float(measured[i])))
    return found
