"""Ways to use a reference that the demo puts side by side, and what was measured of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lib_instantstyle.layout import SDXL
from lib_instantstyle.units.presets import PRESETS
from tests.demo.rows import Row
from tests.effect.summary import ALL, BOTH, NO_ADAPTER, PAPER, STYLE, Summary
from tests.miniature.harness import to_base64


@dataclass(frozen=True)
class Way:
    """name: what tests/effect calls it; fields: of the unit, none without one; blocks: those that
    must receive something, by transformer index."""

    name: str
    fields: dict[str, Any] | None
    blocks: tuple[int, ...]
    subtracts: bool = False

    def unit(self, row: Row) -> dict[str, Any] | None:
        if self.fields is None:
            return None
        content = row.shows if self.subtracts else ""
        return {"image": to_base64(row.reference), "content": content, **self.fields}


def ways(measured: Summary) -> list[Way]:
    """From no unit to the style blocks with subtraction. The style blocks are those that the
    measurement found in these models; the paper's are shown beside them where they differ."""
    shown = [Way(NO_ADAPTER, None, ())]
    shown += [_preset(ALL, "original"), _preset(PAPER, "style")]
    style = measured.style
    own = {"blocks": dict.fromkeys(map(str, style), 1.0)}
    if style == shown[-1].blocks:
        own = {"preset": "style"}
    else:
        shown.append(Way(STYLE, own, style))
    return [*shown, Way(BOTH, own, style, subtracts=True)]


def _preset(name: str, preset: str) -> Way:
    return Way(name, {"preset": preset}, tuple(PRESETS[preset].vector(SDXL)))


def numbers(measured: Summary) -> list[str]:
    """What was measured of these ways, in words."""
    lines = [f"Of {measured.cases} pictures in the looks of drawings (docs/effect.md):"]
    for way in ways(measured):
        kept, leaked, styled = (f"{share:.0%}" for share in measured.arms[way.name])
        lines.append(
            f"{way.name}: the prompted shape in {kept}, the reference's in {leaked}, "
            f"its look in {styled}"
        )
    paper = tuple(PRESETS["style"].vector(SDXL))
    if measured.style != paper:
        found = ", ".join(SDXL.blocks[i].diffusers for i in measured.style)
        carry = "carries" if len(measured.style) == 1 else "carry"
        lines.append(f"In these models {found} {carry} the look, not the paper's block for SDXL.")
    return lines
