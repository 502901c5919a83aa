"""The WebUI's callbacks, registered without making it search for who asks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from modules import script_callbacks


def register(on_event: Callable[..., None], call: Callable[..., Any], script: str) -> None:
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
