"""Ways to use a reference that the demo puts side by side, and what was measured of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lib_instantstyle.layout import SDXL
from lib_instantstyle.units.presets import PRESETS
from tests.demo.rows import Row
from tests.effect.arms import ALL, BOTH, DEFAULT_REMOVED, NO_ADAPTER, STYLE
from tests.effect.summary import Summary
from tests.miniature.harness import to_base64


@dataclass(frozen=True)
class Way:
    """title: over the picture; measured: what tests/effect calls it; fields: of the unit, none
    without one; blocks: those that must receive something, by transformer index."""

    title: str
    measured: str
    fields: dict[str, Any] | None
    blocks: tuple[int, ...]
    removes: bool = False

    def unit(self, row: Row) -> dict[str, Any] | None:
        if self.fields is None:
            return None
        content = {"content": row.shows, "content_scale": DEFAULT_REMOVED} if self.removes else {}
        return {"image": to_base64(row.reference), **content, **self.fields}


def ways(measured: Summary) -> list[Way]:
    """From no unit to the style blocks with words removed. The style blocks are those that the
    measurement found in these models."""
    style = measured.style
    plural = "s" if len(style) > 1 else ""
    own = {"blocks": dict.fromkeys(map(str, style), 1.0)}
    everywhere = tuple(PRESETS["original"].vector(SDXL))
    return [
        Way("extension off", NO_ADAPTER.name, None, ()),
        Way("all blocks", ALL, {"preset": "original"}, everywhere),
        Way(f"style block{plural} alone", STYLE, own, style),
        Way(f"style block{plural}, content removed", BOTH, own, style, removes=True),
    ]


def numbers(measured: Summary) -> list[str]:
    """What was measured of these ways, in words."""
    lines = [f"Of {measured.cases} pictures, each with another reference (docs/effect.md):"]
    for way in ways(measured):
        kept, leaked, styled = (f"{share:.0%}" for share in measured.ways[way.measured])
        lines.append(
            f"{way.title}: the shape of the prompt in {kept}, the shape of the reference in "
            f"{leaked}, its look in {styled}"
        )
    paper = tuple(PRESETS["style"].vector(SDXL))
    if measured.style != paper:
        found = ", ".join(SDXL.blocks[i].diffusers for i in measured.style)
        is_, are = ("block", "is") if len(measured.style) == 1 else ("blocks", "are")
        lines.append(f"The style {is_} of these models {are} {found}; SDXL's is another one.")
    return lines
