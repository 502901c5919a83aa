"""Hooks in Forge: one of them knows no order but that of loading."""

from __future__ import annotations

from modules import errors

from tests.miniature.modules import script_runner as a1111
from tests.miniature.modules.script_runner import *  # noqa: F403


class ScriptRunner(a1111.ScriptRunner):
    def process_before_every_sampling(self, p, **kwargs) -> None:
        for script in self.alwayson_scripts:
            try:
                args = p.script_args[script.args_from : script.args_to]
                script.process_before_every_sampling(p, *args, **kwargs)
            except Exception:
                what = f"Error running process_before_every_sampling: {script.filename}"
                errors.report(what, exc_info=True)
