"""Presets: which transformer gets which weight, by layout.

A preset names, for every transformer it touches, a factor and which of a unit's three weights the
factor multiplies; a transformer that is not named gets nothing and no hook. Some presets follow a
curve over the depth of a transformer in the UNet; these are weight types of ComfyUI's IPAdapter
plus (cubiq/ComfyUI_IPAdapter_plus).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.layout import LAYOUTS, SD15, SDXL, Layout

_LEAST = 0.05  # least factor of an "ease"; the largest is 1
_WEAK = 0.2  # factor of the weak parts


@dataclass(frozen=True)
class DepthCurve:
    """One number for each transformer of a layout, from 0.05 to 1."""

    summary: str  # one line for the page
    factors: Callable[[Layout], dict[int, float]]  # by transformer index


def _ease(share: Callable[[float], float]) -> Callable[[Layout], dict[int, float]]:
    """share: 0..1 by depth; depth is the transformer index over their count, so never quite 1."""

    def factors(layout: Layout) -> dict[int, float]:
        count = len(layout.blocks)
        return {i: _LEAST + (1 - _LEAST) * share(i / count) for i in range(count)}

    return factors


def _weak(parts: Collection[str]) -> Callable[[Layout], dict[int, float]]:
    def factors(layout: Layout) -> dict[int, float]:
        return {block.index: _WEAK if block.part in parts else 1.0 for block in layout.blocks}

    return factors


DEPTH_CURVES: Mapping[str, DepthCurve] = {
    "ease in": DepthCurve(
        "All blocks, from full weight in the first to little in the last",
        _ease(lambda depth: 1 - depth),
    ),
    "ease out": DepthCurve(
        "All blocks, from little weight in the first to most in the last",
        _ease(lambda depth: depth),
    ),
    "ease in-out": DepthCurve(
        "All blocks, with most weight in the middle of the network",
        _ease(lambda depth: 1 - abs(2 * depth - 1)),
    ),
    "reverse in-out": DepthCurve(
        "All blocks, with least weight in the middle of the network",
        _ease(lambda depth: abs(2 * depth - 1)),
    ),
    "weak input": DepthCurve("All blocks, the input blocks at a fifth", _weak(["input"])),
    "weak output": DepthCurve("All blocks, the output blocks at a fifth", _weak(["output"])),
    "weak middle": DepthCurve("All blocks, the middle block at a fifth", _weak(["middle"])),
    "strong middle": DepthCurve(
        "All blocks, all but the middle block at a fifth", _weak(["input", "output"])
    ),
}


Vector = Mapping[int, float]  # transformer index -> factor

WEIGHT, LAYOUT_WEIGHT, BOOST = "weight", "layout_weight", "boost"


@dataclass(frozen=True)
class BlockWeight:
    """What one transformer gets.

    weight: absolute. negated: negative-prompt rows get the tokens that prompt rows would get, and
    prompt rows get none, so that guidance drives the picture away from what this block would add.
    """

    weight: float
    negated: bool = False


@dataclass(frozen=True)
class WeightFactor:
    """A transformer's factor, and which weight of the unit it multiplies."""

    factor: float
    multiplies: str = WEIGHT


@dataclass(frozen=True)
class Preset:
    """A named choice of blocks."""

    id: str
    summary: str  # one line for the page
    origin: str
    # layout id -> transformer index -> factor
    weight_factors: Mapping[str, Mapping[int, WeightFactor]]

    def vector(self, layout: Layout) -> Vector:
        """Factors by transformer index for `layout`: its weights where the unit's are all 1.

        Raises InstantStyleError where the preset does not exist for `layout`.
        """
        return {index: factor.factor for index, factor in self._factors(layout).items()}

    def block_weights(
        self,
        layout: Layout,
        weight: float,
        layout_weight: float | None = None,
        boost: float | None = None,
    ) -> dict[int, BlockWeight]:
        """What each transformer gets, by transformer index; zero weights are left out.

        layout_weight: of the blocks that carry the layout, in every preset that sets these apart
        from the others, `layout` and `layout precise` included; None is `weight`. boost: of the
        negated blocks in the precise presets; None is `weight`. A preset without such blocks
        ignores the number.

        Raises InstantStyleError where the preset does not exist for `layout`.
        """
        amounts = {
            WEIGHT: weight,
            LAYOUT_WEIGHT: weight if layout_weight is None else layout_weight,
            BOOST: weight if boost is None else boost,
        }
        return {
            index: BlockWeight(amount, negated=factor.multiplies == BOOST)
            for index, factor in self._factors(layout).items()
            if (amount := factor.factor * amounts[factor.multiplies])
        }

    def _factors(self, layout: Layout) -> Mapping[int, WeightFactor]:
        if layout.id not in self.weight_factors:
            known = " and ".join(LAYOUTS[layout_id].title for layout_id in self.weight_factors)
            raise InstantStyleError(
                f"preset is {self.id!r}, which exists for {known} only; the loaded checkpoint is "
                f"{layout.title}."
            )
        return self.weight_factors[layout.id]


def _weight_factors(*parts: tuple[Vector, str]) -> dict[int, WeightFactor]:
    """Weight factors in call order from vectors and the weight that each multiplies."""
    weight_factors = {
        index: WeightFactor(factor, multiplies)
        for vector, multiplies in parts
        for index, factor in vector.items()
    }
    return dict(sorted(weight_factors.items()))


def _ones(indices: Iterable[int], *without: int) -> Vector:
    return {index: 1.0 for index in indices if index not in without}


def _everywhere(factors: Callable[[Layout], Vector]) -> dict[str, dict[int, WeightFactor]]:
    return {layout.id: _weight_factors((factors(layout), WEIGHT)) for layout in LAYOUTS.values()}


_ALL_SDXL, _ALL_SD15 = range(len(SDXL.blocks)), range(len(SD15.blocks))
_LAYOUT_SDXL: Vector = {3: 1.0}
_LAYOUT_SD15: Vector = {4: 0.25, 5: 1.0}
_STYLE_SD15_PLUS = _ones(_ALL_SD15, 4, 5, 6, 7, 8)  # IPAdapter plus's idea of style in SD1.5

_INSTANT_STYLE = "InstantStyle, arXiv 2404.02733"
_PLUS = "IPAdapter plus"

PRESETS: Mapping[str, Preset] = {
    preset.id: preset
    for preset in (
        Preset(
            "style",
            "Style only: colour, material, brushwork, atmosphere",
            _INSTANT_STYLE,
            {
                SDXL.id: _weight_factors((_ones([6]), WEIGHT)),
                SD15.id: _weight_factors((_ones([7, 8, 9]), WEIGHT)),
            },
        ),
        Preset(
            "style+layout",
            "Style, and the arrangement of the reference",
            _INSTANT_STYLE,
            {
                SDXL.id: _weight_factors((_ones([6]), WEIGHT), (_ones([3]), LAYOUT_WEIGHT)),
                SD15.id: _weight_factors(
                    (_ones([7, 8, 9]), WEIGHT), (_ones([4, 5, 6]), LAYOUT_WEIGHT)
                ),
            },
        ),
        Preset(
            "layout",
            "The arrangement of the reference only",
            f"InstantStyle; 'composition' of {_PLUS}",
            {
                SDXL.id: _weight_factors((_LAYOUT_SDXL, LAYOUT_WEIGHT)),
                SD15.id: _weight_factors((_LAYOUT_SD15, LAYOUT_WEIGHT)),
            },
        ),
        Preset(
            "original",
            "All blocks, as plain IP-Adapter does: content comes along",
            "IP-Adapter, arXiv 2308.06721",
            _everywhere(lambda layout: _ones(range(len(layout.blocks)))),
        ),
        Preset(
            "strong style",
            "All blocks but those of the layout: more of the style, and some content",
            f"'strong style transfer' of {_PLUS}",
            {
                SDXL.id: _weight_factors((_ones(_ALL_SDXL, 3), WEIGHT)),
                SD15.id: _weight_factors((_ones(_ALL_SD15, 4, 5), WEIGHT)),
            },
        ),
        Preset(
            "style+composition (IPAdapter plus)",
            "Style and arrangement with IPAdapter plus's blocks",
            f"'style and composition' of {_PLUS}",
            {
                SDXL.id: _weight_factors((_ones([6]), WEIGHT), (_LAYOUT_SDXL, LAYOUT_WEIGHT)),
                SD15.id: _weight_factors((_STYLE_SD15_PLUS, WEIGHT), (_LAYOUT_SD15, LAYOUT_WEIGHT)),
            },
        ),
        Preset(
            "strong style+composition",
            "All blocks, those of the layout with a weight of their own",
            f"'strong style and composition' of {_PLUS}",
            {
                SDXL.id: _weight_factors(
                    (_ones(_ALL_SDXL, 3), WEIGHT), (_LAYOUT_SDXL, LAYOUT_WEIGHT)
                ),
                SD15.id: _weight_factors(
                    (_ones(_ALL_SD15, 4, 5), WEIGHT), (_ones([4, 5]), LAYOUT_WEIGHT)
                ),
            },
        ),
        Preset(
            "style transfer (IPAdapter plus)",
            "Style with IPAdapter plus's blocks, which differ from 'style' in SD1.5 only",
            f"'style transfer' of {_PLUS}",
            {
                SDXL.id: _weight_factors((_ones([6]), WEIGHT)),
                SD15.id: _weight_factors((_STYLE_SD15_PLUS, WEIGHT)),
            },
        ),
        Preset(
            "style precise",
            "Style, and guidance away from the reference's arrangement",
            f"'style transfer precise' of {_PLUS}",
            {
                SDXL.id: _weight_factors((_ones([6]), WEIGHT), (_LAYOUT_SDXL, BOOST)),
                SD15.id: _weight_factors((_STYLE_SD15_PLUS, WEIGHT), (_LAYOUT_SD15, BOOST)),
            },
        ),
        Preset(
            "layout precise",
            "Arrangement, and guidance away from the reference's style and content",
            f"'composition precise' of {_PLUS}",
            {
                SDXL.id: _weight_factors(
                    (_LAYOUT_SDXL, LAYOUT_WEIGHT),
                    (dict.fromkeys(_ones(_ALL_SDXL, 3), 0.1) | {6: 1.0}, BOOST),
                ),
                SD15.id: _weight_factors(
                    (_LAYOUT_SD15, LAYOUT_WEIGHT),
                    ({**_STYLE_SD15_PLUS, 6: 0.1, 7: 0.1, 8: 0.1}, BOOST),
                ),
            },
        ),
        *(
            Preset(
                f"depth: {name}", curve.summary, f"'{name}' of {_PLUS}", _everywhere(curve.factors)
            )
            for name, curve in DEPTH_CURVES.items()
        ),
    )
}
DEFAULT_PRESET = "style"
