"""Whether the vectors of a text encoder lie where those of the stock encoder lie."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch.nn import functional as F

from lib_instantstyle.pure.probe_words import PROBE_WORDS

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
