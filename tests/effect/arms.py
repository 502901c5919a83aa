"""What is compared: ways to use a reference, and the cases that each is tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib_instantstyle.layout import SDXL
from tests.trained.world import LOOKS, SHAPES, scenes

ALL_BLOCKS = tuple(block.index for block in SDXL.blocks)


@dataclass(frozen=True)
class Arm:
    """One way to use the reference: weights of blocks, by transformer index, and how much of the
    reference's own shape, as text, is subtracted. No blocks: no adapter."""

    name: str
    blocks: Mapping[int, float]
    subtracted: float = 0.0


def equally(
    name: str, blocks: tuple[int, ...], weight: float = 1.0, subtracted: float = 0.0
) -> Arm:
    return Arm(name, dict.fromkeys(blocks, weight), subtracted)


@dataclass(frozen=True)
class Cases:
    """Prompted shapes, and references that show another shape, by number [B] each; the references'
    pictures [B, 3, 32, 32] in -1..1; a seed of noise for each."""

    shapes: NDArray[np.int64]
    reference_shapes: NDArray[np.int64]
    looks: NDArray[np.int64]
    references: NDArray[np.float32]
    seeds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.shapes)

    def part(self, rows: slice) -> Cases:
        return Cases(
            self.shapes[rows],
            self.reference_shapes[rows],
            self.looks[rows],
            self.references[rows],
            self.seeds[rows],
        )


def make_cases(count: int, seed: int) -> Cases:
    """Every prompted shape and every look equally often, the reference's shape always another."""
    rng = np.random.default_rng([seed, 1])
    order = rng.permutation(count)
    shapes, looks = order % len(SHAPES), order // len(SHAPES) % len(LOOKS)
    others = (shapes + rng.integers(1, len(SHAPES), count)) % len(SHAPES)
    seen = scenes(rng, count, others, looks)
    return Cases(shapes, others, looks, seen.pictures, rng.integers(2**31, size=count))
