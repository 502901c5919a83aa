"""How strongly units acted in each block: the numbers of the last generation, and their text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib_instantstyle.layout import Layout
from lib_instantstyle.unet.effect_meter import LayerEffect

KEY = "InstantStyle {} effect"  # in infotext, by unit
_WEAK = 0.01  # ratio below which the style cannot be seen


@dataclass(frozen=True)
class BlockEffect:
    """How strongly one unit acted in one block."""

    unit: int
    index: int  # transformer index
    block: str  # diffusers name
    ratio: float  # norm of the added term over the norm of the text attention, mean of the layers


class LastReport:
    """The effects of the last generation with a unit whose `report` was on; empty before it."""

    def __init__(self) -> None:
        self.effects: tuple[BlockEffect, ...] = ()


def block_effects(effects: Iterable[LayerEffect], layout: Layout) -> list[BlockEffect]:
    """The means of `effects` over the layers of each block, by unit and by block in call order."""
    ratios: dict[tuple[int, int], list[float]] = {}
    for effect in effects:
        layer = layout.by_number.get(effect.number)
        if layer is not None:  # hires fix may have gone on with another UNet
            key = (effect.unit, layer.block.index)
            ratios.setdefault(key, []).append(effect.ratio)
    names = {block.index: block.diffusers for block in layout.blocks}
    return [
        BlockEffect(unit, index, names[index], sum(of_block) / len(of_block))
        for (unit, index), of_block in sorted(ratios.items())
    ]


def infotext(effects: Sequence[BlockEffect]) -> dict[str, str]:
    """Each unit's line, by key: "up_blocks.0.attentions.1 0.31, mid_block.attentions.0 0.1"."""
    units = dict.fromkeys(effect.unit for effect in effects)
    return {
        KEY.format(unit): ", ".join(f"{e.block} {e.ratio:.3g}" for e in effects if e.unit == unit)
        for unit in units
    }


def remark(effects: Sequence[BlockEffect]) -> str | None:
    """A sentence for the user if the style is too weak to be seen, else None."""
    strongest = max((effect.ratio for effect in effects), default=0.0)
    if not effects or strongest >= _WEAK:
        return None
    return (
        f"the style adds at most {strongest:.2%} to the text's attention, which "
        "cannot be seen; raise weight, or choose more blocks."
    )
