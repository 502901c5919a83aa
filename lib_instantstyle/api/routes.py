"""Our routes under /instantstyle, for clients; the page uses Gradio's events only.

They stand where the WebUI offers its own API, behind the same password. What costs is imported
inside the handlers: at the start of the WebUI these routes cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Depends

from lib_instantstyle import NAME, __version__
from lib_instantstyle.api import schemas
from lib_instantstyle.api.request import json_object
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.page import api_guard
from lib_instantstyle.hosts.refusal import UNPROCESSABLE, InstantStyle

_ROOT = "/instantstyle"
_BODY = Depends(json_object)
Body = Mapping[str, object]
Listing = dict[str, Any]
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
    for path, handler, body in _ROUTES:
        app.add_api_route(
            f"{_ROOT}/{path}",
            handler,
            methods=["GET" if body is None else "POST"],
            name=f"instantstyle_{path}",
            tags=[NAME],
            dependencies=list(guard),
            responses={UNPROCESSABLE: _ERROR},
            response_model=None,
            openapi_extra=body() if body else None,
        )


def _answer(make: Callable[[], Listing]) -> Listing:
    try:
        return make()
    except InstantStyleError as error:
        raise InstantStyle(str(error)) from error


def version() -> Listing:
    """Name and version of the extension."""
    return {"name": NAME, "version": __version__}


def adapters() -> Listing:
    """IP-Adapters and image encoders found, what each is, and whether it fits the checkpoint."""
    from lib_instantstyle.api import listings

    return _answer(listings.adapters)


def presets() -> Listing:
    """The presets, and which blocks they touch in which kind of checkpoint."""
    from lib_instantstyle.api import listings

    return _answer(listings.presets)


def blocks() -> Listing:
    """The blocks of the chosen checkpoint that can be given a weight."""
    from lib_instantstyle.api import listings

    return _answer(listings.blocks)


def styles() -> Listing:
    """The saved styles."""
    from lib_instantstyle.api import listings

    return _answer(listings.styles)


def plan(given: Body = _BODY) -> Listing:
    """A dry run: layers, weights, encoder, what would be subtracted, and every problem."""
    from lib_instantstyle.api import answers

    return _answer(lambda: answers.plan(given))


def embed(given: Body = _BODY) -> Listing:
    """Save references, and a unit's settings, as a style of that name."""
    from lib_instantstyle.api import answers

    return _answer(lambda: answers.embed(given))


def content(given: Body = _BODY) -> Listing:
    """How like a reference is to given words, before and after subtraction, and which it shows."""
    from lib_instantstyle.api import answers

    return _answer(lambda: answers.content(given))


def report() -> Listing:
    """How strongly each block was styled in the last generation that asked for a report."""
    from lib_instantstyle.api import answers

    return _answer(answers.report)


# Path, handler, and what describes the body of a POST; None is GET.
_ROUTES: tuple[tuple[str, Callable[..., Any], Callable[[], schemas.Schema] | None], ...] = (
    ("version", version, None),
    ("adapters", adapters, None),
    ("presets", presets, None),
    ("blocks", blocks, None),
    ("styles", styles, None),
    ("plan", plan, schemas.plan),
    ("embed", embed, schemas.embed),
    ("content", content, schemas.content),
    ("report", report, lambda: {}),
)
