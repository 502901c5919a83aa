"""The WebUI's built-in X/Y/Z plot script, and the plot of a generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modules import scripts, shared

from lib_instantstyle.hosts.page import is_public

# WebUIs load scripts under the bare name of their file.
_NAMES = ("xyz_grid.py", "scripts.xyz_grid")


def plot_module() -> Any:
    """The module of the X/Y/Z plot, or None where there is none."""
    loaded = scripts.scripts_data
    return next((x.module for x in loaded if x.script_class.__module__ in _NAMES), None)


def script_arguments(p: Any, name: str) -> Sequence[Any]:
    """The arguments that the always-on script `name` has in the generation `p`."""
    script = _script(p, name)
    arguments: Sequence[Any] = p.script_args[script.args_from : script.args_to]
    return arguments


def give_script_argument(p: Any, name: str, value: object) -> None:
    """Set `value` as the only argument of the always-on script `name`, in `p` alone."""
    script = _script(p, name)
    before, after = p.script_args[: script.args_from], p.script_args[script.args_to :]
    p.script_args = (*before, value, *[None] * (script.args_to - script.args_from - 1), *after)


def _script(p: Any, name: str) -> Any:
    return next(script for script in p.scripts.alwayson_scripts if script.title() == name)


def axes_in_use(p: Any) -> Sequence[str]:
    """The labels of the axes of the plot that `p` makes; none if it makes no plot."""
    index = p.script_args[0] if p.script_args else 0
    if not isinstance(index, int) or not 0 < index <= len(p.scripts.selectable_scripts):
        return ()
    script = p.scripts.selectable_scripts[index - 1]
    options = getattr(script, "current_axis_options", ())
    chosen = p.script_args[script.args_from : script.args_to : 3][:3]  # type, values, drop-down
    return [options[i or 0].label for i in chosen if isinstance(i or 0, int)] if options else ()


def may_name_files(p: Any) -> bool:
    """Whether the user of `p` may have files of this machine opened.

    Only a user of the page, not of the API, and only if the page is not public.
    """
    return not (p.is_api or is_public() or shared.cmd_opts.hide_ui_dir_config)
