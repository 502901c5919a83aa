"""Postprocessing scripts are recognised, none is run: the miniature has no Extras tab."""

from __future__ import annotations


class ScriptPostprocessing:
    filename = None
    controls = None
    args_from = None
    args_to = None
    order = 1000
    name: str | None = None


class ScriptPostprocessingRunner:
    def __init__(self) -> None:
        self.scripts: list = []
