"""Our routes under /instantstyle, for clients; the page uses Gradio's events only.

They exist where the WebUI offers its own API, behind the same password. A handler's module is
imported at the first request, so that the routes add nothing to the WebUI's start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from fastapi import Depends, HTTPException

from lib_instantstyle import NAME
from lib_instantstyle.api import schemas
from lib_instantstyle.api.request import json_object
from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.hosts.page import api_guard, report_exception
from lib_instantstyle.hosts.refusal import FAILED, UNPROCESSABLE, InstantStyle

_ROOT = "/instantstyle"
_BODY = Depends(json_object)
Body = Mapping[str, object]
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


@dataclass(frozen=True)
class Route:
    """One route: `path`, handled by the function of that name in the module `module` of this room.

    text: for the documentation of the API. method: of HTTP. body: the schema of a POST's body.
    """

    path: str
    text: str
    module: str
    method: str = "GET"
    body: Callable[[], schemas.Schema] | None = None

    def handler(self) -> Callable[..., Any]:
        """The function that FastAPI calls."""

        def handle(*given: Body) -> Any:
            module = import_module(f"{__package__}.{self.module}")
            try:
                return getattr(module, self.path)(*given)
            except InstantStyleError as error:
                raise InstantStyle(str(error)) from error
            except HTTPException:
                raise
            except Exception as error:  # the WebUI would answer with its words, paths and all
                report_exception(f"InstantStyle could not answer {self.path}", exc_info=True)
                raise InstantStyle(
                    f"{self.path} failed with {type(error).__name__}: {reason(error)}; the log "
                    "has the rest.",
                    UNPROCESSABLE if isinstance(error, OSError) else FAILED,
                ) from error

        def get() -> Any:
            return handle()

        def post(given: Body = _BODY) -> Any:
            return handle(given)

        chosen = post if self.body else get
        chosen.__doc__ = self.text
        return chosen


ROUTES = (
    Route("version", "Name and version of the extension.", "listings"),
    Route(
        "adapters",
        "IP-Adapters and image encoders found, what each is, and whether it fits the checkpoint.",
        "listings",
    ),
    Route(
        "presets",
        "The presets, and which blocks they touch in which kind of checkpoint.",
        "listings",
    ),
    Route("blocks", "The blocks of the chosen checkpoint that can be given a weight.", "listings"),
    Route("styles", "The saved styles.", "listings"),
    Route(
        "plan",
        "A dry run: layers, weights, encoder, what would be subtracted, and every problem.",
        "handlers",
        "POST",
        schemas.plan,
    ),
    Route(
        "embed",
        "Save references, and a unit's settings, as a style of that name.",
        "handlers",
        "POST",
        schemas.embed,
    ),
    Route(
        "content",
        "How like a reference is to given words, before and after subtraction, and which it shows.",
        "handlers",
        "POST",
        schemas.content,
    ),
    Route(
        "report",
        "How strongly each block was styled in the last generation that asked for a report, and "
        "the singular values of its references.",
        "handlers",
        "POST",
    ),
)


def register_routes(demo: Any, app: Any) -> None:
    """Add our routes to `app`; the WebUI calls this when it has started."""
    guard = api_guard(app)
    if guard is None:
        return
    for route in ROUTES:
        app.add_api_route(
            f"{_ROOT}/{route.path}",
            route.handler(),
            methods=[route.method],
            name=f"instantstyle_{route.path}",
            tags=[NAME],
            dependencies=list(guard),
            responses={UNPROCESSABLE: _ERROR},
            response_model=None,
            openapi_extra=route.body() if route.body else None,
        )
