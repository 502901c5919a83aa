"""How strongly the last generation was styled, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib_instantstyle.layout import Layout
from lib_instantstyle.unet.effect_meter import LayerEffect

KEY = "InstantStyle {} effect"  # in infotext, by unit
_WEAK = 0.01  # of the text attention: what is below cannot be seen


@dataclass(frozen=True)
class BlockEffect:
    """What one unit did in one block."""

    unit: int
    index: int  # transformer index
    block: str  # diffusers name
    ratio: float  # norm of the added term over the norm of the text attention, mean of the layers


class LastReport:
    """What was measured in the last generation in which a unit asked for it; empty before."""

    def __init__(self) -> None:
        self.effects: tuple[BlockEffect, ...] = ()


def block_effects(effects: Iterable[LayerEffect], layout: Layout) -> list[BlockEffect]:
    """What was measured in layers, by unit and block in call order."""
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
    """One line for each unit: "up_blocks.0.attentions.1 0.31, down_blocks.2.attentions.1 0.12"."""
    units = dict.fromkeys(effect.unit for effect in effects)
    return {
        KEY.format(unit): ", ".join(f"{e.block} {e.ratio:.3g}" for e in effects if e.unit == unit)
        for unit in units
    }


def remark(effects: Sequence[BlockEffect]) -> str | None:
    """A sentence where the style is too weak to be seen."""
    strongest = max((effect.ratio for effect in effects), default=0.0)
    if not effects or strongest >= _WEAK:
        return None
    return (
        f"InstantStyle: the style adds at most {strongest:.2%} to the text's attention, which "
        "cannot be seen; raise weight, or choose more blocks."
    )
