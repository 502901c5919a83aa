"""The page's sliders for a unit's three weights, and the fields behind them.

A slider always holds a number, a field may hold none ("as weight"). So a slider that the chosen
preset does not use, or that stands where the style's weight stands, means none.
"""

from __future__ import annotations

from collections.abc import Mapping

from lib_instantstyle.units.presets import BOOST, LAYOUT_WEIGHT, PRESETS, WEIGHT

OPTIONAL = (LAYOUT_WEIGHT, BOOST)


def sliders(preset: str, blocks: object = "") -> tuple[str, ...]:
    """The optional weights that a unit with `preset`, or own block weights, needs sliders for."""
    if preset not in PRESETS or (blocks.strip() if isinstance(blocks, str) else blocks):
        return ()
    used = {
        factor.multiplies
        for weight_factors in PRESETS[preset].weight_factors.values()
        for factor in weight_factors.values()
    }
    both = {WEIGHT, LAYOUT_WEIGHT} <= used  # else the style weight's slider serves alone
    return tuple(name for name, has in ((LAYOUT_WEIGHT, both), (BOOST, BOOST in used)) if has)


def without_unused_weights(values: Mapping[str, object]) -> dict[str, object]:
    """The page's values of one unit, less the weights that say nothing."""
    needed = sliders(str(values.get("preset")), values.get("blocks"))
    return {
        name: value
        for name, value in values.items()
        if name not in OPTIONAL or (name in needed and value != values.get(WEIGHT))
    }
