"""Weights that follow the depth of a transformer in the UNet, not time.

Source: the weight types of ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from lib_instantstyle.pure.layers import Layout

_LEAST = 0.05  # an ease runs from here to 1
_WEAK = 0.2  # of the other parts' weight


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
