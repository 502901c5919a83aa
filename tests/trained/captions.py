"""What is said of a scene, and the rows of the word tables that stand for it.

The text towers hand their word vectors through to the UNet unchanged and without positions, so a
prompt is a bag of words there, and the filling after a prompt is one word said many times. In
training those equal rows are one row with a count, which attention takes as a bias: the logarithm
of how often the row stands there.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from tests.miniature.networks.text import CLIP_L_TINY, OPEN_CLIP_TINY
from tests.miniature.networks.tokenizer import BOS, CONTEXT, EOS, word_ids

from .world import LOOKS, SHAPES

# Each is one token of CLIP's vocabulary, with this number, which a real WebUI's tokenizer gives it.
CLIP_IDS = {
    "a": 320,
    ",": 267,
    "circle": 7117,
    "square": 3999,
    "triangle": 14615,
    "star": 1565,
    "heart": 1936,
    "cross": 3417,
    "ring": 2540,
    "moon": 3293,
    "arrow": 11149,
    "house": 1212,
    "fish": 2759,
    "tree": 2677,
    "night": 930,
    "blueprint": 30594,
    "candy": 6417,
    "forest": 4167,
    "lava": 16765,
    "ice": 733,
    "paper": 2802,
    "desert": 7301,
    "mint": 7506,
    "sea": 2102,
    "jungle": 10865,
    "frost": 11619,
}
SLOTS = 7  # start, up to four words, end, filling
OPEN_CLIP_FILLING = 0


def row_ids() -> dict[str, list[int]]:
    """Every row of the word tables that is not zero, by a name, with its numbers: the miniature's
    tokenizer, which hashes words, and the real one have different ones."""
    words = {word: [*word_ids(word), number] for word, number in CLIP_IDS.items()}
    return {"<start>": [BOS], "<end>": [EOS], "<filling>": [OPEN_CLIP_FILLING], **words}


@cache
def word_vector(name: str, width: int) -> Tensor:
    """Random, of unit size, and so nearly at right angles to all others: [width], float16 exact."""
    seed = zlib.crc32(f"{name}/{width}".encode())
    return torch.randn(width, generator=torch.Generator().manual_seed(seed)).half().float()


def caption(shape: str = "", look: str = "") -> str:
    parts = [f"a {shape}" if shape else "", look]
    return ", ".join(part for part in parts if part)


ALL_CAPTIONS = tuple(caption(shape, look) for shape in ("", *SHAPES) for look in ("", *LOOKS))


def caption_number(shape: int | None, look: int | None) -> int:
    """Position in ALL_CAPTIONS of a caption of the world; None leaves that part unsaid."""
    first = 0 if shape is None else shape + 1
    return first * (len(LOOKS) + 1) + (0 if look is None else look + 1)


@dataclass(frozen=True)
class Context:
    """Prompts for the UNet: rows [B, S, C] and the logarithm of their counts [B, 1, 1, S]."""

    rows: Tensor
    log_counts: Tensor

    def __getitem__(self, index: Tensor) -> Context:
        return Context(self.rows[index], self.log_counts[index])

    def to(self, device: torch.device) -> Context:
        return Context(self.rows.to(device), self.log_counts.to(device))

    def filled(self, shares: Tensor) -> Context:
        """With fewer rows of filling: their number to the power of `shares` [B], 0 to 1."""
        most = self.log_counts.amax(-1, keepdim=True)
        fewer = torch.where(self.log_counts == most, most * shares[:, None, None, None], most)
        return Context(self.rows, torch.minimum(self.log_counts, fewer))

    def silenced(self, where: Tensor) -> Context:
        """All rows zero where told, [B] bool: what SDXL's empty negative prompt is."""
        return Context(self.rows.masked_fill(where[:, None, None], 0.0), self.log_counts)


def contexts() -> Context:
    """The contexts of ALL_CAPTIONS."""
    rows, counts = zip(*(_context(text) for text in ALL_CAPTIONS))
    return Context(torch.stack(rows), torch.stack(counts).log()[:, None, None])


def names_in(text: str) -> list[str]:
    """The words of a caption, marks apart."""
    return [word for part in text.partition(",") for word in part.split()]


def word_row(name: str) -> Tensor:
    """What the UNet is told for a word of the world: [C]."""
    widths = (CLIP_L_TINY.width, OPEN_CLIP_TINY.width)
    return torch.cat([word_vector(name, width) for width in widths])


def _context(text: str) -> tuple[Tensor, Tensor]:
    names = ["<start>", *names_in(text), "<end>", "<filling>"]
    counts = torch.zeros(SLOTS)
    counts[: len(names)] = 1
    counts[len(names) - 1] = CONTEXT - len(names) + 1
    widths = (CLIP_L_TINY.width, OPEN_CLIP_TINY.width)
    rows = torch.zeros(SLOTS, sum(widths))
    for slot, name in enumerate(names):
        first = "<end>" if name == "<filling>" else name  # the first tower fills with its end mark
        rows[slot] = torch.cat([word_vector(first, widths[0]), word_vector(name, widths[1])])
    return rows, counts
