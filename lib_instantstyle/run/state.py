"""The attributes that a generation `p` carries for us while it runs."""

from __future__ import annotations

RUN = "_instantstyle_run"
UNITS = "_instantstyle_units"  # the units of the request
TAGS = "_instantstyle_tags"  # the tags in the prompts from which the run has made units
ALL = (RUN, UNITS, TAGS)
