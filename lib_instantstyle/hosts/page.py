"""What the page, the routes and the script use of the WebUI."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modules import errors, script_callbacks, shared
from modules.infotext_utils import PasteField
from modules.ui_common import create_refresh_button
from modules.ui_components import InputAccordion

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.hosts.folders import own_folder
from lib_instantstyle.session import SESSION

report_exception = errors.report

__all__ = [
    "InputAccordion",
    "PasteField",
    "create_refresh_button",
    "report_exception",
]

_API_ROUTE = "/sdapi/v1/txt2img"  # of the WebUI's own API
_SCRIPT = "instantstyle.py"  # in scripts/
_THIS_MACHINE = ("", "127.0.0.1", "localhost", "::1")


def api_guard(app: Any) -> Sequence[Any] | None:
    """The FastAPI dependencies that guard the WebUI's API, for ours too; None if it has no API.

    `--api-auth` guards each of the WebUI's own routes, and not those of extensions. If the flag is
    given but no guard is found, None is returned.
    """
    route = next((r for r in app.routes if getattr(r, "path", "") == _API_ROUTE), None)
    if route is None:
        return None
    guards: Sequence[Any] = getattr(route, "dependencies", ())
    return None if shared.cmd_opts.api_auth and not guards else guards


def is_public() -> bool:
    """Whether strangers may use the page, as the command-line flags tell (--share, --listen).

    Every gate asks this one. The WebUI keeps strangers from installing extensions by the same flag;
    if that is missing, the page counts as public. Gradio may also be told to listen by its own
    variable, of which the WebUI knows nothing.
    """
    if getattr(shared.cmd_opts, "disable_extension_access", True):
        return True
    listens = os.environ.get("GRADIO_SERVER_NAME", "") not in _THIS_MACHINE
    return listens and not getattr(shared.cmd_opts, "enable_insecure_extension_access", False)


def is_api_public() -> bool:
    """Whether strangers may use the API: as the page, but who has its password is none."""
    return is_public() and not shared.cmd_opts.api_auth


def forbidden(what_not: str, instead: str) -> str:
    """The sentence for what strangers may not do; both: a part of it."""
    return (
        f"Visitors of this WebUI may be strangers (--share, --listen and the like), so {what_not}; "
        f"start it with --enable-insecure-extension-access, or {instead}."
    )


def refuse_strangers(sentence: str, by_api: bool = False) -> None:
    """Raise InstantStyleError with `sentence` if strangers may use the page, or the API."""
    if is_api_public() if by_api else is_public():
        raise InstantStyleError(sentence)


class _SavedDefaults:
    """The user's own defaults of the page, of the WebUI's file ui-config.json; read, never written.

    key: path, size and time of change of the file that `found` is of.
    """

    def __init__(self) -> None:
        self.key: tuple[object, ...] = ()
        self.found: Mapping[str, object] = {}


def saved_default(tab: str, label: str) -> object:
    """The default that the user has saved for our control `label` in `tab`; None if there is none.

    The WebUI applies those of the labels that there are; this is for labels of earlier versions.
    """
    path = Path(getattr(shared.cmd_opts, "ui_config_file", ""))
    saved = SESSION.of(_SavedDefaults)
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key != saved.key:
            found = read_json(path.read_text(encoding="utf-8"))
            saved.key, saved.found = key, found if isinstance(found, dict) else {}
    except (OSError, ValueError, UnreadableJson):
        return None
    return saved.found.get(f"customscript/{_SCRIPT}/{tab}/{label}/value")


def keep_files_back(demo: Any) -> None:
    """Have Gradio's page `demo` serve no file of our folder; called when the WebUI has started.

    Gradio 3 serves whatever is below the WebUI's folder to whoever knows its name.
    """
    if demo is not None:  # an API without a page
        own = own_folder()
        ours = {str(own.absolute()), str(own.resolve())}
        demo.blocked_paths = [*getattr(demo, "blocked_paths", ()), *sorted(ours)]


def register_callback(on_event: Callable[..., None], call: Callable[..., Any], script: str) -> None:
    """Register `call` as `on_event` of `script_callbacks` would, for the script file `script`.

    `on_event` itself finds the file by walking the stack, and for each frame Python searches all
    modules: 10 to 120 ms of the WebUI's start for each callback.
    """
    event = getattr(on_event, "__name__", "").removeprefix("on_")
    listed = script_callbacks.callback_map.get(f"callbacks_{event}")
    if listed is None:  # another extension has replaced the function
        on_event(call)
    elif "filename" in inspect.signature(script_callbacks.add_callback).parameters:
        script_callbacks.add_callback(listed, call, category=event, filename=script)
    else:  # Classic, whose callbacks have no name
        listed.append(script_callbacks.ScriptCallback(script, call))
