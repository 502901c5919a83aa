"""What extensions' install.py imports. Nothing is ever installed here."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from tests.miniature import VERSION


def git_tag() -> str:
    return VERSION


def commit_hash() -> str:
    return "miniature"


def is_installed(package: str) -> bool:
    """A distribution of that name first, an importable module second; no version is looked at."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        try:
            return importlib.util.find_spec(package) is not None
        except ModuleNotFoundError:
            return False
    return True


def run_pip(command: str, desc: str | None = None, live: bool = False) -> None:
    raise RuntimeError(f"the miniature WebUI installs nothing, asked for: pip {command}")
