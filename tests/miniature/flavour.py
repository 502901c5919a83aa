"""Which WebUI the miniature plays: A1111's, or one of the Forge family's laid over it.

A flavour is a folder with a `modules` of its own, which holds only what differs; every other
module is A1111's. Both are found because the package's path spans all folders on `sys.path`.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from tests.miniature import ROOT

A1111, FORGE, CLASSIC = "a1111", "forge", "classic"
_LAYERS = {A1111: (), FORGE: ("forge",), CLASSIC: ("classic",)}


def flavour() -> str:
    """The one that MINIATURE names; else by Gradio's version, which only one of the first two can
    use. Forge Classic's needs the same as A1111's.
    """
    chosen = os.environ.get("MINIATURE") or (A1111 if version("gradio").startswith("3.") else FORGE)
    if chosen not in _LAYERS:
        raise ValueError(f"MINIATURE is {chosen!r}; {', '.join(_LAYERS)} are allowed")
    return chosen


def folders() -> list[Path]:
    """What goes on `sys.path`, the flavour before what it is laid over."""
    return [*(ROOT / name for name in _LAYERS[flavour()]), ROOT]
