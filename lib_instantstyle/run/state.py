"""What hangs on a generation `p` while it runs; its names are known here alone."""

from __future__ import annotations

RUN = "_instantstyle_run"
UNITS = "_instantstyle_units"  # those that came with the request
TAGS = "_instantstyle_tags"  # those in the prompts that the run has units for
ALL = (RUN, UNITS, TAGS)
