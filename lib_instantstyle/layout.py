"""Which cross-attention layer is which: the block layouts of SD1.x/SD2.x and SDXL UNets.

One place knows all four ways a layer is named:

- the ldm/sgm path in a checkpoint and in the WebUI's UNet (`output_blocks.1.1`);
- the diffusers path that papers and forums use (`up_blocks.0.attentions.1`);
- the transformer index: the running number of the SpatialTransformer in call order, which other
  tools' weight lists count by;
- the adapter number N: an IP-Adapter file stores layer `i` (0-based, down blocks, up blocks, and
  the middle block LAST) under N = 2 i + 1, because it counts self-attention too.

Sources: IP-Adapter (tencent-ailab/IP-Adapter), InstantStyle (arXiv 2404.02733), diffusers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Block:
    """One SpatialTransformer of a UNet."""

    index: int  # transformer index, in call order
    ldm: str  # "output_blocks.1.1"
    diffusers: str  # "up_blocks.0.attentions.1"
    depth: int  # transformer blocks in it, each with one cross-attention
    part: str  # "input", "middle" or "output"


@dataclass(frozen=True)
class Layer:
    """One cross-attention (attn2) of a UNet."""

    block: Block
    depth_index: int  # k in transformer_blocks.k
    number: int  # N, the number in an IP-Adapter file

    @property
    def ldm(self) -> str:
        return f"{self.block.ldm}.transformer_blocks.{self.depth_index}.attn2"

    @property
    def diffusers(self) -> str:
        return f"{self.block.diffusers}.transformer_blocks.{self.depth_index}.attn2"


@dataclass(frozen=True)
class Layout:
    """The arrangement of cross-attention blocks in one family of UNets."""

    id: str  # "sdxl" or "sd15"
    title: str  # for people
    blocks: tuple[Block, ...]  # in call order; blocks[i].index == i

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """All cross-attention layers in adapter order: N = 1, 3, 5, ..., middle block last."""
        in_file_order = [b for b in self.blocks if b.part != "middle"]
        in_file_order += [b for b in self.blocks if b.part == "middle"]
        pairs = [(block, k) for block in in_file_order for k in range(block.depth)]
        return tuple(Layer(block, k, 2 * i + 1) for i, (block, k) in enumerate(pairs))

    @cached_property
    def by_number(self) -> Mapping[int, Layer]:
        return {layer.number: layer for layer in self.layers}


def _diffusers_name(ldm: str) -> str:
    part, *numbers = ldm.split(".")
    if part == "middle_block":
        return "mid_block.attentions.0"
    n = int(numbers[0])
    if part == "input_blocks":  # three input blocks per level: two with attention, one resampling
        return f"down_blocks.{(n - 1) // 3}.attentions.{(n - 1) % 3}"
    return f"up_blocks.{n // 3}.attentions.{n % 3}"


def _layout(layout_id: str, title: str, depths: Iterable[tuple[str, int]]) -> Layout:
    blocks = tuple(
        Block(i, ldm, _diffusers_name(ldm), depth, ldm.split("_", 1)[0])
        for i, (ldm, depth) in enumerate(depths)
    )
    return Layout(layout_id, title, blocks)


SDXL = _layout(
    "sdxl",
    "SDXL",
    [(f"input_blocks.{n}.1", d) for n, d in ((4, 2), (5, 2), (7, 10), (8, 10))]
    + [("middle_block.1", 10)]
    + [(f"output_blocks.{n}.1", d) for n, d in ((0, 10), (1, 10), (2, 10), (3, 2), (4, 2), (5, 2))],
)

SD15 = _layout(
    "sd15",
    "SD1.5",
    [(f"input_blocks.{n}.1", 1) for n in (1, 2, 4, 5, 7, 8)]
    + [("middle_block.1", 1)]
    + [(f"output_blocks.{n}.1", 1) for n in range(3, 12)],
)

LAYOUTS: Mapping[str, Layout] = {layout.id: layout for layout in (SDXL, SD15)}

# By transformer index. With these a pruned SDXL cannot be taken for another family or for the
# refiner, which has attention in SDXL's input blocks too but none in output block 1.
_ESSENTIAL = {SDXL.id: (3, 6), SD15.id: tuple(range(16))}

# A UNet may be the root itself (diffusers) or stand under a prefix; only the tail identifies it.
_ATTN2 = re.compile(
    r"(?:^|\.)("
    r"(?:input_blocks|output_blocks)\.\d+\.\d+|middle_block\.\d+|"
    r"(?:down_blocks|up_blocks)\.\d+\.attentions\.\d+|mid_block\.attentions\.\d+"
    r")\.transformer_blocks\.(\d+)\.attn2$"
)


def parse_attn2(path: str) -> tuple[str, int] | None:
    """Split a module path into (block name, k) if it is a cross-attention, else None.

    >>> parse_attn2("output_blocks.1.1.transformer_blocks.3.attn2")
    ('output_blocks.1.1', 3)
    """
    match = _ATTN2.search(path)
    return (match.group(1), int(match.group(2))) if match else None


def recognise(depths: Mapping[str, int]) -> Layout | None:
    """The layout of a UNet that has `depths` (block name, ldm or diffusers, -> depth).

    A UNet with less than the stock's (SSD-1B and other pruned SDXLs leave out the middle block
    and single layers) is accepted, as long as the blocks that carry style and layout are there:
    what it has keeps its names. Other blocks, or deeper ones, are another architecture.
    """
    for layout in LAYOUTS.values():
        for names in (
            {b.ldm: b.depth for b in layout.blocks},
            {b.diffusers: b.depth for b in layout.blocks},
        ):
            fits = all(0 < depth <= names.get(name, 0) for name, depth in depths.items())
            if fits and all(list(names)[i] in depths for i in _ESSENTIAL[layout.id]):
                return layout
    return None
