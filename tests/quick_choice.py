"""Which unit tests `make quick` runs: those of what changed since the last commit, or in it.

A test belongs to a module that it, or a helper that it imports, imports by name; and to itself.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALWAYS = ("tests/unit/test_architecture.py",)
MOST = 12  # test files; beyond that `make test-unit` is the better command


def imported(file: Path) -> set[str]:
    """Names of modules, with dots, that a Python file imports; `from a import b` gives both."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def chosen(changed: Iterable[str], root: Path = ROOT) -> list[str]:
    """The test files for changed files, both as paths below `root`; the nearest first."""
    paths = [path for path in changed if path.endswith(".py")]
    modules = {module_of(path) for path in paths}
    helpers = [f for f in (root / "tests").rglob("*.py") if not f.name.startswith("test_")]
    for helper in helpers:
        if imported(helper) & modules and "unit" in helper.parts:
            modules.add(module_of(str(helper.relative_to(root))))
    scores = {}
    for test in sorted((root / "tests" / "unit").glob("test_*.py")):
        name = str(test.relative_to(root))
        hits = len(imported(test) & modules) + 100 * (name in paths)
        if hits:
            scores[name] = hits
    ranked = sorted(scores, key=lambda name: (-scores[name], name))
    return [*dict.fromkeys([*ranked[:MOST], *(x for x in ALWAYS if (root / x).is_file())])]


def changed_files(root: Path = ROOT) -> list[str]:
    """What differs from the last commit; if nothing does, what that commit changed."""

    def git(*arguments: str) -> list[str]:
        found = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
        return found.stdout.splitlines()

    now = [*git("diff", "--name-only", "HEAD"), *git("ls-files", "--others", "--exclude-standard")]
    return now or git("diff", "--name-only", "HEAD~1", "HEAD")


if __name__ == "__main__":
    print(" ".join(chosen(changed_files())))
