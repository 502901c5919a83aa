"""How like a picture and texts are, by CLIP, and whether a text encoder fits the image encoder.

Checkpoints trained on other captions (Pony, Illustrious, NoobAI) have text encoders whose vectors
no longer lie in the space of the image encoder, though their tensors have the same shapes. So a
text encoder is compared with the stock one by its vectors of a few words.
Source: Radford et al. 2021, arXiv 2103.00020.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch.nn import functional as F

STOCK_FILE = Path(__file__).parents[1] / "data" / "stock_words.safetensors"
# By their vectors text encoders are compared: everyday things, one token or two each.
PROBE_WORDS = (
    "apple", "bicycle", "bird", "boat", "book", "bridge", "cat", "chair", "cloud", "cup",
    "dog", "flower", "girl", "house", "landscape", "man", "mountain", "rabbit", "street", "tree",
)  # fmt: skip

# The least mean cosine with the stock encoder's vectors. Other number formats stay above 0.999. At
# 0.9 the subtracted vector is 26 degrees away from the stock one: a part of 0.44 times its length
# is something else than what the words say.
MIN_AGREEMENT = 0.9


def cosines(image: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    """Cosine [n] of an image vector [E] to each of the text vectors [n, E], on the CPU.

    CLIP gives about 0.3 to a good match and 0.1 to a text that has nothing to do with the picture.
    """
    return F.cosine_similarity(image.float().cpu()[None], texts.float(), dim=1)


def best_matches(
    image: torch.Tensor,
    texts: torch.Tensor,
    names: Sequence[str],
    count: int,
    named: Sequence[str] = (),
) -> list[tuple[str, float]]:
    """The `count` names whose text vectors [n, E] are most like the image vector [E], best first.

    Each with its cosine. Of names of which one contains the other (black cat, cat) only the better
    is returned, and none of which all words stand in one of the texts `named`.
    """
    found: list[tuple[str, float]] = []
    measured = cosines(image, texts)
    known = [set(re.findall(r"\w+", text.lower())) for text in named]
    for i in measured.argsort(descending=True).tolist():
        words = set(names[i].split())
        if len(found) == count:
            break
        if any(words <= text for text in known):
            continue
        if not any(words <= set(name.split()) or words >= set(name.split()) for name, _ in found):
            found.append((names[i], float(measured[i])))
    return found


def stock_vectors(width: int, path: Path = STOCK_FILE) -> torch.Tensor | None:
    """The stock encoder's vectors [n, E] of PROBE_WORDS, for vectors of `width` numbers.

    None if the file has none of this width. `python -m tests.stock_words` makes the file; its
    tensors are named by their width, and its metadata hold the words.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            words = (file.metadata() or {}).get("words", "")
            if words.split(",") != list(PROBE_WORDS) or str(width) not in file.keys():  # noqa: SIM118
                return None
            vectors: torch.Tensor = file.get_tensor(str(width)).float()
    except (OSError, SafetensorError):
        return None
    return vectors


def agreement(vectors: torch.Tensor, stock: torch.Tensor) -> float:
    """Mean cosine of two encoders' vectors [n, E] of the same words."""
    return float(F.cosine_similarity(vectors, stock, dim=1).mean())
