"""Our routes under /instantstyle, for clients; the page uses Gradio's events only.

They stand where the WebUI offers its own API, behind the same password. What costs is imported
inside the handlers: at the start of the WebUI these routes cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib_instantstyle import NAME, __version__
from lib_instantstyle.hosts.api import api_guard
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.webui import listings
from lib_instantstyle.webui.errors import UNPROCESSABLE, InstantStyle

_ROOT = "/instantstyle"
_ERROR = {
    "description": "One sentence that says what is wrong",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"detail": {"type": "string"}},
                "required": ["detail"],
            }
        }
    },
}


def register(demo: Any, app: Any) -> None:
    """Add our routes to `app`; the WebUI calls this when it has started."""
    guard = api_guard(app)
    if guard is None:
        return
    for path, method, handler in _ROUTES:
        app.add_api_route(
            f"{_ROOT}/{path}",
            handler,
            methods=[method],
            name=f"instantstyle_{path}",
            tags=[NAME],
            dependencies=list(guard),
            responses={UNPROCESSABLE: _ERROR},
            response_model=None,
        )


def _answer(make: Callable[[], listings.Listing]) -> listings.Listing:
    try:
        return make()
    except InstantStyleError as error:
        raise InstantStyle(str(error)) from error


def version() -> listings.Listing:
    """Name and version of the extension."""
    return {"name": NAME, "version": __version__}


def adapters() -> listings.Listing:
    """IP-Adapters and image encoders found, what each is, and whether it fits the checkpoint."""
    return _answer(listings.adapters)


def presets() -> listings.Listing:
    """The presets, and which blocks they touch in which kind of checkpoint."""
    return _answer(listings.presets)


def blocks() -> listings.Listing:
    """The blocks of the chosen checkpoint that can be given a weight."""
    return _answer(listings.blocks)


_ROUTES = (
    ("version", "GET", version),
    ("adapters", "GET", adapters),
    ("presets", "GET", presets),
    ("blocks", "GET", blocks),
)
