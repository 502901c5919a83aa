"""Presets: which transformer gets which weight, by layout.

A vector maps a transformer index to a factor of the unit's weight; a transformer that is not
named gets nothing and no hook.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lib_instantstyle.pure.layers import LAYOUTS, SD15, SDXL, Layout

Vector = Mapping[int, float]


@dataclass(frozen=True)
class Preset:
    """A named choice of blocks."""

    id: str
    summary: str  # one line for the page
    origin: str
    vectors: Mapping[str, Vector]  # layout id -> transformer index -> factor

    def vector(self, layout: Layout) -> Vector:
        """Factors by transformer index for `layout`."""
        return self.vectors[layout.id]


def _all(layout: Layout) -> Vector:
    return {block.index: 1.0 for block in layout.blocks}


PRESETS: Mapping[str, Preset] = {
    preset.id: preset
    for preset in (
        Preset(
            "style",
            "Style only: colour, material, brushwork, atmosphere",
            "InstantStyle, arXiv 2404.02733",
            {SDXL.id: {6: 1.0}, SD15.id: {7: 1.0, 8: 1.0, 9: 1.0}},
        ),
        Preset(
            "style+layout",
            "Style, and the arrangement of the reference",
            "InstantStyle, arXiv 2404.02733",
            {SDXL.id: {3: 1.0, 6: 1.0}, SD15.id: dict.fromkeys(range(4, 10), 1.0)},
        ),
        Preset(
            "layout",
            "The arrangement of the reference only",
            "InstantStyle; 'composition' of IPAdapter plus",
            {SDXL.id: {3: 1.0}, SD15.id: {4: 0.25, 5: 1.0}},
        ),
        Preset(
            "original",
            "All blocks, as plain IP-Adapter does: content comes along",
            "IP-Adapter, arXiv 2308.06721",
            {layout.id: _all(layout) for layout in LAYOUTS.values()},
        ),
    )
}
DEFAULT_PRESET = "style"
