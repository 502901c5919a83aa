"""The block map's data: the transformers of a UNet with role, factor and what is missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.layout import Layout
from lib_instantstyle.units.page_weights import sliders
from lib_instantstyle.units.presets import BOOST, LAYOUT_WEIGHT, PRESETS
from lib_instantstyle.units.unit import Unit

STYLE, LAYOUT = "style", "layout"
_ROLES = PRESETS["style+layout"]  # InstantStyle's own finding, which blocks carry which
_CARDS = ("style", "style+layout", "style precise", "original")  # presets to begin with
_PARTS = {"input": "down", "middle": "middle", "output": "up"}


@dataclass(frozen=True)
class MapBlock:
    """One transformer as the map shows it."""

    name: str  # diffusers name
    part: str  # "down", "middle" or "up"
    role: str  # STYLE, LAYOUT or ""
    factor: float  # that the unit's weight multiplies
    swapped: bool  # a precise preset: guidance moves away from it
    lacking: str  # who lacks it, "checkpoint" or "adapter"; "" where it is there


def block_map(
    layout: Layout,
    unit: Unit,
    in_checkpoint: Collection[int] | None = None,
    in_adapter: Collection[int] | None = None,
) -> dict[str, object]:
    """What the map draws for `unit`, JSON-native.

    in_checkpoint, in_adapter: transformer indices that are there; None if not known, then all are.
    Raises InstantStyleError where block weights or preset do not fit the layout.
    """
    factors = unit.blocks.vector(layout) if unit.blocks else PRESETS[unit.preset].vector(layout)
    swapped = set() if unit.blocks else _swapped(unit.preset, layout)
    roles = {
        index: LAYOUT if factor.multiplies == LAYOUT_WEIGHT else STYLE
        for index, factor in _ROLES.weight_factors[layout.id].items()
    }

    def lacking(index: int) -> str:
        for who, present in (("checkpoint", in_checkpoint), ("adapter", in_adapter)):
            if present is not None and index not in present:
                return who
        return ""

    blocks = [
        MapBlock(
            block.diffusers,
            _PARTS[block.part],
            roles.get(block.index, ""),
            factors.get(block.index, 0.0),
            block.index in swapped,
            lacking(block.index),
        )
        for block in layout.blocks
    ]
    preset = _same_preset(factors, layout) if unit.blocks else unit.preset
    return {
        "title": layout.title,
        "own": bool(unit.blocks),
        "preset": preset,
        "summary": PRESETS[preset].summary if preset else "",
        "sliders": sliders(unit.preset, str(unit.blocks)),
        "cards": _cards(layout, unit.preset),
        "blocks": [asdict(block) for block in blocks],
    }


def _cards(layout: Layout, chosen: str) -> list[dict[str, object]]:
    """Name, summary and factors by block of the usual presets, and of the chosen one; away: the
    blocks that guidance moves away from."""
    found: list[dict[str, object]] = []
    for preset in (PRESETS[name] for name in dict.fromkeys((*_CARDS, chosen))):
        if layout.id in preset.weight_factors:
            factors = preset.vector(layout)
            bars = [factors.get(block.index, 0.0) for block in layout.blocks]
            away = sorted(_swapped(preset.id, layout))
            text = {"name": preset.id, "summary": preset.summary}
            found.append({**text, "bars": bars, "away": away})
    return found


def _swapped(preset: str, layout: Layout) -> set[int]:
    weight_factors = PRESETS[preset].weight_factors[layout.id]
    return {index for index, factor in weight_factors.items() if factor.multiplies == BOOST}


def _same_preset(factors: Mapping[int, float], layout: Layout) -> str:
    """The preset that own weights are the same as; "" if none."""
    for preset in PRESETS.values():
        try:
            same = preset.vector(layout) == dict(factors)
        except InstantStyleError:
            continue
        if same and not _swapped(preset.id, layout):
            return preset.id
    return ""
