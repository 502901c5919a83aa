"""The table of names and signatures that the miniature shares with A1111.

`python -m tests.miniature.signatures WEBUI` writes it anew from the sources of a real WebUI: names
and parameters are read from the syntax tree, nothing of the WebUI is imported or copied. Only what
the miniature has too is listed. `signatures.json` is what the tests compare with.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import sys
from pathlib import Path

TABLE = Path(__file__).with_name("signatures.json")
Signatures = dict[str, dict[str, list[str]]]


def _of_syntax(arguments: ast.arguments) -> list[str]:
    names = [x.arg for x in arguments.posonlyargs + arguments.args]
    if arguments.vararg:
        names.append(f"*{arguments.vararg.arg}")
    elif arguments.kwonlyargs:
        names.append("*")
    names += [x.arg for x in arguments.kwonlyargs]
    return [*names, f"**{arguments.kwarg.arg}"] if arguments.kwarg else names


def of_source(file: Path) -> dict[str, list[str]]:
    """Functions, methods and (without parameters) classes that a file defines at its top."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(file.read_text(encoding="utf8")).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = _of_syntax(node.args)
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and not item.decorator_list:
                    found[f"{node.name}.{item.name}"] = _of_syntax(item.args)
    return {k: v for k, v in found.items() if not k.rsplit(".", 1)[-1].startswith("_")}


def of_object(function) -> list[str]:
    """The same notation for what is imported."""
    names: list[str] = []
    kinds = inspect.Parameter
    star = False
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is kinds.KEYWORD_ONLY and not star:
            names.append("*")
            star = True
        star = star or parameter.kind is kinds.VAR_POSITIONAL
        mark = {kinds.VAR_POSITIONAL: "*", kinds.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        names.append(mark + name)
    return names


def in_miniature(module: str, name: str):
    """The object of that name, or None."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def read(webui: Path) -> Signatures:
    """Everything in `modules` and `scripts/xyz_grid.py` of a WebUI that the miniature has too."""
    table: Signatures = {}
    for file in sorted((webui / "modules").rglob("*.py")):
        module = ".".join(file.relative_to(webui).with_suffix("").parts)
        if not (Path(__file__).parent / file.relative_to(webui)).exists():
            continue
        common = {k: v for k, v in of_source(file).items() if in_miniature(module, k) is not None}
        if common:
            table[module] = common
    return table


def main() -> None:
    from tests.miniature.harness import session

    webui = Path(sys.argv[1])
    session()
    text = json.dumps(read(webui), separators=(",", ":"))
    TABLE.write_text(text.replace("},", "},\n").replace("],", "],\n ") + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
