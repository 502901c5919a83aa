"""Who may be at the page."""

from __future__ import annotations

from modules import shared


def is_public() -> bool:
    """Whether others than this machine's own people may be at the page, as the flags tell.

    The same flag keeps visitors from installing extensions; without it nobody is trusted.
    """
    return bool(getattr(shared.cmd_opts, "disable_extension_access", True))
