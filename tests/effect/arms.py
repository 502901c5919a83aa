"""Ways to use a reference, each at several strengths, and the cases that they are tried on.

WAYS is the one table: `make effect` generates, judges, draws and reports each of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_instantstyle.layout import SDXL
from lib_instantstyle.units.choices import ADAIN, PUBLISHED, RELATIVE, REMOVED_CONTENT
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
    together: how two references become one, where the cases have two. draws_content: whether a
    plain drawing of the reference's shape is the negative image.
    """

    name: str
    blocks: Mapping[int, float]
    names_content: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    adapter: str = ADAPTER
    together: str = ""
    draws_content: bool = False

    @property
    def key(self) -> str:
        """Equal for arms that make the same pictures."""
        parts = (sorted(self.blocks.items()), self.names_content, sorted(self.fields.items()))
        drawn = ("content drawn",) if self.draws_content else ()
        return repr((*parts, self.adapter if self.blocks else "", self.together, *drawn))

    @property
    def is_of_one_shape(self) -> bool:
        """Whether all cases of a batch must have one shape in their references: a UNet call has one
        negative image."""
        return self.draws_content or bool(self.fields.get("negative_content"))

    @property
    def attends(self) -> bool:
        """Whether its method is one on self-attention, without an adapter."""
        return "method" in self.fields

    def removing(self, mode: str, scale: float) -> Arm:
        """The same with the content taken out of the reference's vector."""
        fields = {**self.fields, "content_mode": mode, "content_scale": scale}
        return replace(self, names_content=scale > 0, fields=fields)


def equally(name: str, blocks: tuple[int, ...], weight: float = 1.0, **others: Any) -> Arm:
    """Every block at one weight; at 0 no adapter."""
    return Arm(name, dict.fromkeys(blocks, weight) if weight else {}, **others)


NO_ADAPTER = Arm("no adapter", {})


BLOCKS, CONTENT, TOKENS, INSIDE = (
    "which blocks",
    "words taken out",
    "words masked, tokens purified",
    "inside the attention",
)


@dataclass(frozen=True)
class Way:
    """One way at several strengths.

    turned: the setting that `strengths` are values of. usual: the strength that the demo and the
    report's sentences speak of. about: the part of the picture of the front where it is drawn.
    """

    name: str
    turned: str
    strengths: tuple[float, ...]
    arm: Callable[[float], Arm]
    usual: float = 1.0
    about: str = BLOCKS

    def arms(self) -> dict[float, Arm]:
        return {strength: self.arm(strength) for strength in self.strengths}


ALL, STYLE, PAPER = "all blocks", "style blocks", "the paper's block"
PAPER_TRAINED = "an adapter of the paper's block"
SUBTRACTED, PROJECTED = "all blocks, words subtracted", "all blocks, words projected out"
MASKED, PURIFIED = "all blocks, words masked", "all blocks, purified"
AS_PUBLISHED = "all blocks, purified on the published scale"
BOTH, STYLE_MASKED = "style blocks, words subtracted", "style blocks, words masked"
FUSED, STYLE_FUSED = "all blocks, fused by AdaIN", "style blocks, fused by AdaIN"
FROM_ZERO = "all blocks, guided away from the zero image"
FROM_DRAWING = "all blocks, a drawing of the content as negative image"
FROM_WORDS = "all blocks, words subtracted and guided away from"
WEIGHTS = (0.25, 0.5, 0.75, 1.0)
GUIDANCE = "attention_guidance"
QUICK = (ALL, STYLE, SUBTRACTED, PROJECTED, MASKED, PURIFIED, BOTH, PAPER, PAPER_TRAINED)


def ways(style: tuple[int, ...]) -> tuple[Way, ...]:
    """All of them; the first is the baseline that the others are compared with. `style`: the blocks
    that carry the look in these models."""

    def blocks(name: str, chosen: tuple[int, ...], **others: Any) -> Callable[[float], Arm]:
        return lambda weight: equally(name, chosen, weight, **others)

    def removing(name: str, chosen: tuple[int, ...], mode: str) -> Callable[[float], Arm]:
        return lambda scale: equally(name, chosen).removing(mode, scale)

    def masking(name: str, chosen: tuple[int, ...]) -> Callable[[float], Arm]:
        return lambda share: equally(name, chosen, fields={"content_share": share}).removing(
            "mask", 1.0
        )

    def purifying(name: str, measured: str) -> Callable[[float], Arm]:
        return lambda alpha: equally(
            name, ALL_BLOCKS, fields={"purify": alpha, "purify_scale": measured}
        )

    def guided(phi: float) -> Arm:
        return equally(FROM_ZERO, ALL_BLOCKS, fields={GUIDANCE: phi})

    def guided_from_drawing(phi: float) -> Arm:
        fields = {GUIDANCE: phi}
        return equally(FROM_DRAWING, ALL_BLOCKS, fields=fields, draws_content=True)

    def guided_from_words(phi: float) -> Arm:
        fields = {GUIDANCE: phi, "guidance_from": REMOVED_CONTENT}
        arm = equally(FROM_WORDS, ALL_BLOCKS, fields=fields)
        return arm.removing("difference", DEFAULT_REMOVED)

    adain, trained = {"fusion": ADAIN}, {"adapter": STYLE_ADAPTER}
    paper, half = (PAPERS_BLOCK,), DEFAULT_REMOVED
    subtracting, projecting = (
        removing(SUBTRACTED, ALL_BLOCKS, "difference"),
        removing(PROJECTED, ALL_BLOCKS, "projection"),
    )
    return (
        Way(ALL, "weight", WEIGHTS, blocks(ALL, ALL_BLOCKS)),
        Way(STYLE, "weight", (0.75, 1.0), blocks(STYLE, style)),
        Way(SUBTRACTED, "content_scale", (0.5, 1.0), subtracting, half, CONTENT),
        Way(PROJECTED, "content_scale", (0.5, 1.0), projecting, 1.0, CONTENT),
        Way(MASKED, "content_share", (0.2, 0.4), masking(MASKED, ALL_BLOCKS), 0.2, TOKENS),
        Way(PURIFIED, "purify", (1.0,), purifying(PURIFIED, RELATIVE), 1.0, TOKENS),
        Way(BOTH, "content_scale", (0.5,), removing(BOTH, style, "difference"), half, CONTENT),
        Way(PAPER, "weight", (1.0,), blocks(PAPER, paper)),
        Way(PAPER_TRAINED, "weight", (1.0,), blocks(PAPER_TRAINED, paper, **trained)),
        Way(STYLE_MASKED, "content_share", (0.2,), masking(STYLE_MASKED, style), 0.2, TOKENS),
        Way(AS_PUBLISHED, "purify", (0.1,), purifying(AS_PUBLISHED, PUBLISHED), 0.1, TOKENS),
        Way(FUSED, "weight", (0.5, 1.0), blocks(FUSED, ALL_BLOCKS, fields=adain), 1.0, INSIDE),
        Way(STYLE_FUSED, "weight", (1.0,), blocks(STYLE_FUSED, style, fields=adain), 1.0, INSIDE),
        Way(FROM_ZERO, GUIDANCE, (2.0,), guided, 2.0, INSIDE),
        Way(FROM_DRAWING, GUIDANCE, (2.0,), guided_from_drawing, 2.0, INSIDE),
        Way(FROM_WORDS, GUIDANCE, (2.0,), guided_from_words, 2.0, INSIDE),
    )


@dataclass(frozen=True)
class Cases:
    """Prompted shapes, and references that show another shape, by number [B] each; the references'
    pictures [B, 3, 32, 32] in -1..1; a seed of noise for each; second references, where there are
    any; the looks that the prompts name, where they name one."""

    shapes: NDArray[np.int64]
    reference_shapes: NDArray[np.int64]
    looks: NDArray[np.int64]
    references: NDArray[np.float32]
    seeds: NDArray[np.int64]
    seconds: NDArray[np.float32] | None = None
    named: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.shapes)

    def part(self, rows: slice | NDArray[np.int64]) -> Cases:
        return Cases(
            self.shapes[rows],
            self.reference_shapes[rows],
            self.looks[rows],
            self.references[rows],
            self.seeds[rows],
            None if self.seconds is None else self.seconds[rows],
            None if self.named is None else self.named[rows],
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
