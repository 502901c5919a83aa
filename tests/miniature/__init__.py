"""A miniature WebUI: what AUTOMATIC1111's v1.10.1 does to an extension, small enough to test with.

The folder is a WebUI root. `modules` inside it becomes the top-level package `modules`, exactly as
extensions expect; models, settings and pictures live in a data folder given on the command line.
Start it with `python -m tests.miniature`, or in a test with `tests.miniature.harness.boot`.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent
VERSION = "v1.10.1"
