"""What the accordion adds to a WebUI's start: `python -m tests.bench.startup`, where Gradio is.

Processor time, so that other work on the machine matters little. Building Gradio's components is
told apart from the rest, which is ours: reading settings and wiring events.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gradio as gr

from tests.miniature import harness

_ROOT = Path(__file__).parents[2]
_TIMES = 5


class Timed:
    """Something callable, and how long it took in all."""

    def __init__(self, function: Callable[..., Any], spent: list[float]) -> None:
        self._function, self._spent = function, spent

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = time.process_time()
        try:
            return self._function(*args, **kwargs)
        finally:
            self._spent.append(time.process_time() - before)


def measure() -> dict[str, float]:
    """Milliseconds of processor time for one tab's accordion, medians."""
    harness.session().add_extension(_ROOT)
    from lib_instantstyle.page import accordion

    wholes, components = [], []
    for _ in range(_TIMES):
        spent: list[float] = []
        with ExitStack() as patches:
            for name in ("Slider", "Dropdown", "Textbox", "Checkbox", "HTML", "Button", "File",
                         "Row", "Column", "Accordion", "Tabs", "Tab"):  # fmt: skip
                patches.enter_context(patch.object(gr, name, Timed(getattr(gr, name), spent)))
            for name in ("InputAccordion",):
                made = Timed(getattr(accordion, name), spent)
                patches.enter_context(patch.object(accordion, name, made))
            with gr.Blocks():
                before = time.process_time()
                accordion.build(lambda name: f"bench_{name}", "txt2img")
                wholes.append(time.process_time() - before)
        components.append(sum(spent))
    return {
        "accordion": 1000 * statistics.median(wholes),
        "of it Gradio's components": 1000 * statistics.median(components),
    }


if __name__ == "__main__":
    for what, milliseconds in measure().items():
        print(f"{what}: {milliseconds:.1f} ms")
