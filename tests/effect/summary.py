"""What `make effect` found, in short: kept beside the weights, for the demo and the tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "effect.json"


@dataclass(frozen=True)
class Summary:
    """style: the style blocks found, by transformer index; ways: shares kept, leaked and styled of
    `cases` pictures, by the way's name, at its usual strength."""

    style: tuple[int, ...]
    cases: int
    ways: Mapping[str, tuple[float, float, float]]

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")


def kept_summary(folder: Path) -> Summary:
    """Raises FileNotFoundError where `make effect` was never run with these weights."""
    found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    ways = {name: tuple(shares) for name, shares in found["ways"].items()}
    return Summary(tuple(found["style"]), found["cases"], ways)
