"""The WebUI's own API, as far as ours stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modules import shared

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
