"""What `make effect` found, in short: kept beside the weights, for the demo and the tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "effect.json"

NO_ADAPTER, ALL, MATCHED = "no adapter", "all blocks", "all blocks, weaker"
PAPER, STYLE, BOTH = "the paper's block", "style blocks", "style blocks and subtraction"
ALL_SUBTRACTED = "all blocks and subtraction"


@dataclass(frozen=True)
class Summary:
    """style: the style blocks found, by transformer index; matched: the weight at which all blocks
    give the look as often; arms: shares kept, leaked and styled of `cases` pictures, by name."""

    style: tuple[int, ...]
    matched: float
    cases: int
    arms: Mapping[str, tuple[float, float, float]]

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")


def kept_summary(folder: Path) -> Summary:
    """Raises FileNotFoundError where `make effect` was never run with these weights."""
    found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    arms = {name: tuple(shares) for name, shares in found["arms"].items()}
    return Summary(tuple(found["style"]), found["matched"], found["cases"], arms)
