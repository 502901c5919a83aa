"""Small helpers that other modules and extensions reach through `shared` as well."""

from __future__ import annotations

import os
import re
from pathlib import Path

from modules.paths_internal import cwd, script_path


def natural_sort_key(s, regex=re.compile(r"([0-9]+)")) -> list:
    return [int(x) if x.isdigit() else x.lower() for x in regex.split(str(s))]


def listfiles(dirname: str) -> list[str]:
    names = sorted(os.listdir(dirname), key=natural_sort_key)  # noqa: PTH208
    paths = [os.path.join(dirname, x) for x in names if not x.startswith(".")]  # noqa: PTH118
    return [x for x in paths if Path(x).is_file()]


def html_path(filename: str) -> str:
    return str(Path(script_path) / "html" / filename)


def html(filename: str) -> str:
    path = Path(html_path(filename))
    return path.read_text(encoding="utf8") if path.exists() else ""


def walk_files(path: str, allowed_extensions=None):
    root = Path(path)
    if not root.exists():
        return
    allowed = None if allowed_extensions is None else set(allowed_extensions)
    for item in sorted(root.rglob("*"), key=natural_sort_key):
        if item.is_file() and (allowed is None or item.suffix.lower() in allowed):
            yield str(item)


def truncate_path(target_path: str, base_path: str = cwd) -> str:
    """Relative to the working directory where possible, else absolute."""
    target, base = Path(target_path).absolute(), Path(base_path).absolute()
    return str(target.relative_to(base)) if target.is_relative_to(base) else str(target)


def ldm_print(*args, **kwargs) -> None:
    pass


def topological_sort(dependencies: dict[str, list[str]]) -> list[str]:
    """Names so that each comes after what it depends on; a cycle is broken, order is kept."""
    visited: set[str] = set()
    result: list[str] = []

    def visit(name: str) -> None:
        if name in visited:
            return
        visited.add(name)
        for other in dependencies.get(name, ()):
            if other in dependencies:
                visit(other)
        result.append(name)

    for name in dependencies:
        visit(name)
    return result


def open_folder(path: str) -> None:
    print(f"the miniature opens no windows: {path}")
