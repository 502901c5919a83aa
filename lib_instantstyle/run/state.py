"""The attributes that a generation `p` carries for us while it runs."""

from __future__ import annotations

from typing import Any

RUN = "_instantstyle_run"
UNITS = "_instantstyle_units"  # the units of the request
TAGS = "_instantstyle_tags"  # the tags in the prompts from which the run has made units


def clear(p: Any) -> None:
    """Delete them from `p`."""
    for name in (RUN, UNITS, TAGS):
        if hasattr(p, name):
            delattr(p, name)
