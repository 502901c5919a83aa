"""Parts of the WebUI that the page and the script are made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from modules import errors, script_callbacks, shared
from modules.infotext_utils import PasteField
from modules.ui_common import create_refresh_button
from modules.ui_components import InputAccordion

report_exception = errors.report

__all__ = [
    "InputAccordion",
    "PasteField",
    "create_refresh_button",
    "report_exception",
]


# The WebUI's own API, as far as ours stands beside it.

_ITS_OWN = "/sdapi/v1/txt2img"


def api_guard(app: Any) -> Sequence[Any] | None:
    """The dependencies that guard the WebUI's API, to guard ours too; None if it offers none.

    A WebUI puts `--api-auth` on each of its routes by itself, and not on those of extensions.
    Where it is asked for but cannot be found, that counts as no API.
    """
    route = next((r for r in app.routes if getattr(r, "path", "") == _ITS_OWN), None)
    if route is None:
        return None
    guards: Sequence[Any] = getattr(route, "dependencies", ())
    return None if shared.cmd_opts.api_auth and not guards else guards


# Who may be at the page.


def is_public() -> bool:
    """Whether others than this machine's own people may be at the page, as the flags tell.

    The same flag keeps visitors from installing extensions; without it nobody is trusted.
    """
    return bool(getattr(shared.cmd_opts, "disable_extension_access", True))


# The WebUI's callbacks, registered without making it search for who asks.


def register_callback(on_event: Callable[..., None], call: Callable[..., Any], script: str) -> None:
    """Do as `on_event(call)`, one of `script_callbacks`' functions, for the file `script`.

    `on_event` finds that file by walking the stack, where every frame of a script has Python look
    through all modules: 10 to 120 ms of the WebUI's start for each callback.
    """
    event = getattr(on_event, "__name__", "").removeprefix("on_")
    listed = script_callbacks.callback_map.get(f"callbacks_{event}")
    if listed is None:  # another extension has replaced the function
        on_event(call)
    elif "filename" in inspect.signature(script_callbacks.add_callback).parameters:
        script_callbacks.add_callback(listed, call, category=event, filename=script)
    else:  # Classic, whose callbacks have no name
        listed.append(script_callbacks.ScriptCallback(script, call))
