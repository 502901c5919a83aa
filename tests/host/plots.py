"""Requests for an X/Y/Z plot."""

from __future__ import annotations

from tests.host.generations import UNIT, style

XYZ = "X/Y/Z plot"
GRIDS = 2  # of one plot without a third axis: all of it, and its only sheet


def xyz_args(webui, x=("Nothing", ""), y=("Nothing", ""), z=("Nothing", "")):
    labels = [o.label for o in webui.script(XYZ).current_axis_options]
    axes = [v for name, values in (x, y, z) for v in (labels.index(name), values, [])]
    return [*axes, False, True, True, False, False, False, False, 0, True]


def plot(webui, x, y=("Nothing", ""), *units, expect=200, **fields):
    """Grid and sub-grid, then one picture for each cell, row by row."""
    return webui.txt2img(
        script_name=XYZ,
        script_args=xyz_args(webui, x, y),
        expect=expect,
        **style(*(units or (UNIT,))),
        **fields,
    )
