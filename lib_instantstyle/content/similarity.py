"""How like a picture and texts are, by CLIP. Source: Radford et al. 2021, arXiv 2103.00020."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
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


# Whether the vectors of a text encoder lie where those of the stock encoder lie.

STOCK_FILE = Path(__file__).parents[1] / "data" / "stock_words.safetensors"


def stock_vectors(width: int, path: Path = STOCK_FILE) -> torch.Tensor | None:
    """What the stock encoder with vectors of `width` numbers makes of PROBE_WORDS: [n, E].

    None where the file has none for it. It is made by `python -m tests.stock_words` (see there);
    its tensors are named by their width, and its metadata hold the words.
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


# Words by which a text encoder is held to the stock one, and how much they must agree.
#
# Checkpoints trained on other captions (Pony, Illustrious, NoobAI) bring text encoders that have
# left the space of the image encoder; the shapes of their tensors are the same.

# Everyday things of all kinds, one token or two each.
PROBE_WORDS = (
    "apple", "bicycle", "bird", "boat", "book", "bridge", "cat", "chair", "cloud", "cup",
    "dog", "flower", "girl", "house", "landscape", "man", "mountain", "rabbit", "street", "tree",
)  # fmt: skip

# Mean cosine. Other number formats stay above 0.999. At 0.9 the vector that is subtracted points
# 26 degrees away from the stock one: of what it takes out, 0.44 times its length is something
# else than what the words say.
MIN_AGREEMENT = 0.9
