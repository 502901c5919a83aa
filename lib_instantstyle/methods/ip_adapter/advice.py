"""Values to start from, by kind of adapter, family of checkpoint and preset.

Sources: InstantStyle's own settings (weight 1 in the style block), IP-Adapter's README (0.5 to 0.8
where all blocks act beside a prompt), IPAdapter plus's README for the precise presets.
"""

from __future__ import annotations

from lib_instantstyle.layout import SDXL, Layout
from lib_instantstyle.models.adapter_kind import AdapterKind, LinearShape

_PRECISE = {
    ("style precise", SDXL.id): "weight 1 and 2 away from the rest",
    ("style precise", "sd15"): "weight a little above 1, and 0 away from the rest",
    ("layout precise", SDXL.id): "weight 0.8 and 0.3 away from the rest",
    ("layout precise", "sd15"): "weight 0.6 and 0.35 away from the rest",
}
_MANY_BLOCKS = ("original", "strong style", "strong style+composition")


def advice(kind: AdapterKind, layout: Layout, preset: str) -> str:
    """One sentence with values to start from."""
    values = _PRECISE.get((preset, layout.id))
    if values is None:
        if preset in _MANY_BLOCKS:
            values = "weight 0.5 to 0.8, because content comes along"
        elif isinstance(kind.projection, LinearShape):
            values = "weight 1" if layout is SDXL else "weight 1, up to 1.5 for more of the style"
        else:
            values = "weight 0.6 to 1, for this kind of adapter sees more of the reference"
    return f"Start from {values}."
