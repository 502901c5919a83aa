"""Ways to use a reference, each at several strengths, and the cases that they are tried on.

WAYS is the one table: what is added here is painted, judged, drawn and written up by `make effect`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_instantstyle.layout import SDXL
from tests.trained.family import ADAPTER, STYLE_ADAPTER
from tests.trained.world import LOOKS, SHAPES, scenes

ALL_BLOCKS = tuple(block.index for block in SDXL.blocks)
PAPERS_BLOCK = 6  # up_blocks.0.attentions.1, which InstantStyle calls the style block
DEFAULT_REMOVED = 0.5  # the extension's content_scale


@dataclass(frozen=True)
class Arm:
    """One way at one strength.

    blocks: their weights by transformer index; none for no adapter. names_content: whether the
    reference's own shape is named as content. fields: further ones of the unit. adapter: its file.
    together: how two references become one, where the cases have two.
    """

    name: str
    blocks: Mapping[int, float]
    names_content: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    adapter: str = ADAPTER
    together: str = ""

    @property
    def key(self) -> str:
        """Equal for arms that paint the same pictures."""
        parts = (sorted(self.blocks.items()), self.names_content, sorted(self.fields.items()))
        return repr((*parts, self.adapter if self.blocks else "", self.together))

    def removing(self, mode: str, scale: float) -> Arm:
        """The same with the content taken out of the reference's vector."""
        fields = {**self.fields, "content_mode": mode, "content_scale": scale}
        return replace(self, names_content=scale > 0, fields=fields)


def equally(name: str, blocks: tuple[int, ...], weight: float = 1.0, **others: Any) -> Arm:
    """Every block at one weight; at 0 no adapter."""
    return Arm(name, dict.fromkeys(blocks, weight) if weight else {}, **others)


NO_ADAPTER = Arm("no adapter", {})


@dataclass(frozen=True)
class Way:
    """One way at several strengths.

    turned: the setting that `strengths` are values of. usual: the strength that the demo and the
    report's sentences speak of.
    """

    name: str
    turned: str
    strengths: tuple[float, ...]
    arm: Callable[[float], Arm]
    usual: float = 1.0

    def arms(self) -> dict[float, Arm]:
        return {strength: self.arm(strength) for strength in self.strengths}


ALL, STYLE, PAPER = "all blocks", "style blocks", "the paper's block"
PAPER_TRAINED = "an adapter of the paper's block"
SUBTRACTED, PROJECTED = "all blocks, words subtracted", "all blocks, words projected out"
MASKED, PURIFIED = "all blocks, words masked", "all blocks, purified"
BOTH = "style blocks, words subtracted"
WEIGHTS = (0.5, 0.75, 1.0)


def ways(style: tuple[int, ...]) -> tuple[Way, ...]:
    """All of them; the first is the baseline that the others are compared with. `style`: the blocks
    that carry the look in these models."""

    def blocks(name: str, chosen: tuple[int, ...], **others: Any) -> Callable[[float], Arm]:
        return lambda weight: equally(name, chosen, weight, **others)

    def removing(name: str, chosen: tuple[int, ...], mode: str) -> Callable[[float], Arm]:
        return lambda scale: equally(name, chosen).removing(mode, scale)

    def masked(share: float) -> Arm:
        arm = equally(MASKED, ALL_BLOCKS, fields={"content_share": share})
        return arm.removing("mask", 1.0)

    def purified(alpha: float) -> Arm:
        fields = {"purify": alpha, "purify_scale": "relative"}
        return equally(PURIFIED, ALL_BLOCKS, fields=fields)

    scale = "content_scale"
    return (
        Way(ALL, "weight", WEIGHTS, blocks(ALL, ALL_BLOCKS)),
        Way(STYLE, "weight", (0.75, 1.0), blocks(STYLE, style)),
        Way(
            SUBTRACTED,
            scale,
            (0.5, 1.0),
            removing(SUBTRACTED, ALL_BLOCKS, "difference"),
            usual=DEFAULT_REMOVED,
        ),
        Way(PROJECTED, scale, (0.5, 1.0), removing(PROJECTED, ALL_BLOCKS, "projection")),
        Way(MASKED, "content_share", (0.2,), masked, usual=0.2),
        Way(PURIFIED, "purify", (1.0,), purified),
        Way(BOTH, scale, (0.5,), removing(BOTH, style, "difference"), DEFAULT_REMOVED),
        Way(PAPER, "weight", (1.0,), blocks(PAPER, (PAPERS_BLOCK,))),
        Way(
            PAPER_TRAINED,
            "weight",
            (1.0,),
            blocks(PAPER_TRAINED, (PAPERS_BLOCK,), adapter=STYLE_ADAPTER),
        ),
    )


@dataclass(frozen=True)
class Cases:
    """Prompted shapes, and references that show another shape, by number [B] each; the references'
    pictures [B, 3, 32, 32] in -1..1; a seed of noise for each; second references, where there are
    any."""

    shapes: NDArray[np.int64]
    reference_shapes: NDArray[np.int64]
    looks: NDArray[np.int64]
    references: NDArray[np.float32]
    seeds: NDArray[np.int64]
    seconds: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.shapes)

    def part(self, rows: slice) -> Cases:
        return Cases(
            self.shapes[rows],
            self.reference_shapes[rows],
            self.looks[rows],
            self.references[rows],
            self.seeds[rows],
            None if self.seconds is None else self.seconds[rows],
        )


def make_cases(count: int, seed: int) -> Cases:
    """Every prompted shape and every look equally often, also in a few cases; the reference's shape
    is always another."""
    rng = np.random.default_rng([seed, 1])
    order = rng.permutation(count)
    shapes, looks = order % len(SHAPES), (order // len(SHAPES) + order) % len(LOOKS)
    others = (shapes + rng.integers(1, len(SHAPES), count)) % len(SHAPES)
    seen = scenes(rng, count, others, looks)
    return Cases(shapes, others, looks, seen.pictures, rng.integers(2**31, size=count))
