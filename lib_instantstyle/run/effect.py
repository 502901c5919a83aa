"""How strongly units acted in each block: the numbers of the last generation, and their text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib_instantstyle.layout import Layout
from lib_instantstyle.unet.effect_meter import LayerEffect
from lib_instantstyle.unet.plan import AttentionTerm

KEY = "InstantStyle {} effect"  # in infotext, by unit
_SINGULAR = "InstantStyle {} singular values"
_SHOWN = 4  # singular values of a block in infotext: a linear adapter has no more
_WEAK = 0.01  # ratio below which the style cannot be seen


@dataclass(frozen=True)
class BlockEffect:
    """How strongly one unit acted in one block."""

    unit: int
    index: int  # transformer index
    block: str  # diffusers name
    ratio: float  # norm of the added term over the norm of the text attention, mean of the layers


@dataclass(frozen=True)
class BlockSpectrum:
    """The singular values of a unit's reference in the first layer of a block, largest first."""

    unit: int
    index: int  # transformer index
    block: str  # diffusers name
    key: tuple[float, ...]
    value: tuple[float, ...]
    purified: bool  # whether the unit's `purify` damps their tail


class LastReport:
    """What the last generation with a unit whose `report` was on has measured; empty before it."""

    def __init__(self) -> None:
        self.effects: tuple[BlockEffect, ...] = ()
        self.spectra: tuple[BlockSpectrum, ...] = ()


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


def spectra(terms: Iterable[AttentionTerm]) -> list[BlockSpectrum]:
    """The singular values that `terms` have, in four digits, by unit and by block in call order."""
    found = []
    for term in terms:
        if term.singular_values is not None:
            key, value = (
                tuple(float(f"{s:.4g}") for s in values) for values in term.singular_values
            )
            block = term.layer.block
            place = (term.unit, block.index, block.diffusers)
            found.append(BlockSpectrum(*place, key, value, term.purify is not None))
    return sorted(found, key=lambda each: (each.unit, each.index))


def infotext(
    effects: Sequence[BlockEffect], spectra: Sequence[BlockSpectrum] = ()
) -> dict[str, str]:
    """Lines of each unit, by key.

    Effects as "up_blocks.0.attentions.1 0.31, mid_block.attentions.0 0.1"; where a unit damps the
    tail of the singular values, the largest of keys and values as "up_blocks.0.attentions.1 K 48.1
    12.3 9.06 7.7 V 33 9.2 5.1 2.2".
    """
    lines: dict[str, list[str]] = {}
    for effect in effects:
        text = f"{effect.block} {effect.ratio:.3g}"
        lines.setdefault(KEY.format(effect.unit), []).append(text)
    for each in (spectrum for spectrum in spectra if spectrum.purified):
        key, value = (
            " ".join(f"{s:.3g}" for s in values[:_SHOWN]) for values in (each.key, each.value)
        )
        text = f"{each.block} K {key} V {value}"
        lines.setdefault(_SINGULAR.format(each.unit), []).append(text)
    return {key: ", ".join(texts) for key, texts in lines.items()}


def remark(effects: Sequence[BlockEffect]) -> str | None:
    """A sentence for the user if the style is too weak to be seen, else None."""
    strongest = max((effect.ratio for effect in effects), default=0.0)
    if not effects or strongest >= _WEAK:
        return None
    return (
        f"the style adds at most {strongest:.2%} to the text's attention, which "
        "cannot be seen; raise weight, or choose more blocks."
    )
