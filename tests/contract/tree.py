"""Facts about a WebUI, read from the syntax trees of its files."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

VALUE, MODULE = "value", "module"
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


class CannotTell(Exception):
    """The file that would hold the answer is not in this tree (`repositories/` is often absent)."""


class Tree:
    """The source of one WebUI."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.parse = lru_cache(maxsize=None)(self._parse)
        self.calls_in = lru_cache(maxsize=None)(self._calls_in)
        self.patterns = lru_cache(maxsize=None)(self._patterns)

    def _parse(self, file: Path) -> ast.Module:
        return ast.parse(file.read_text(encoding="utf8", errors="replace"))

    def module_file(self, name: str) -> Path | None:
        """The file of a module such as `modules.shared`."""
        base = self.root.joinpath(*name.split("."))
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.exists():
                return file
        return None

    def is_module(self, name: str) -> bool:
        return self.module_file(name) is not None or self.root.joinpath(*name.split(".")).is_dir()

    def fact(self, name: str) -> str | None:
        """Parameters of the function or class of that dotted name, "value", "module" or None."""
        if self.is_module(name):
            return MODULE
        parts = name.split(".")
        for n in range(len(parts) - 1, 0, -1):
            file = self.module_file(".".join(parts[:n]))
            if file is not None:
                return self._inside(file, parts[n:])
        return None

    def _inside(self, file: Path, parts: list[str]) -> str | None:
        found = _top_level(self.parse(file)).get(parts[0])
        if len(parts) == 1 or found is None:
            return None if found is None else _describe(found)
        return self.member(file, found, parts[1]) if isinstance(found, ast.ClassDef) else None

    def member(self, file: Path, owner: ast.ClassDef, name: str) -> str | None:
        """A method or attribute of a class, or of the classes of this tree that it comes from."""
        for node in owner.body:
            if isinstance(node, Function) and node.name == name:
                return VALUE if _is_property(node) else parameters(node.args, method=True)
            if name in _targets(node):
                return VALUE
        if name in _stored_on(owner, "self"):
            return VALUE
        bases = (self._base_member(file, owner, ast.unparse(base), name) for base in owner.bases)
        return next((found for found in bases if found is not None), None)

    def _base_member(self, file: Path, owner: ast.ClassDef, base: str, name: str) -> str | None:
        parent = _top_level(self.parse(file)).get(base.split(".")[0])
        if isinstance(parent, ast.ClassDef) and parent is not owner:
            return self.member(file, parent, name)
        if isinstance(parent, ast.ImportFrom) and parent.module:
            return self.fact(f"{parent.module}.{base}.{name}")
        return None

    def attribute(self, place: str, name: str) -> str | None:
        """Attribute `name` of an object that `place` makes.

        A place is a class, a file that uses the attribute, or a file and the variable that it is
        set on there: `modules/processing.py:p`.
        """
        if ".py" not in place:
            return self.fact(f"{place}.{name}")
        place, _, variable = place.partition(":")
        file = self.root / place
        if not file.exists():
            raise CannotTell(place)
        if variable:
            return VALUE if name in _stored_on(self.parse(file), variable) else None
        for node in ast.walk(self.parse(file)):
            if isinstance(node, Function) and node.name == name:
                return VALUE if _is_property(node) else parameters(node.args, method=True)
            # What a WebUI reads itself, by attribute or getattr, is there.
            if (isinstance(node, ast.Attribute) and node.attr == name) or name in _targets(node):
                return VALUE
            by_text = isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "getattr",
                "hasattr",
            )
            if by_text and name in [getattr(x, "value", None) for x in node.args]:
                return VALUE
        return None

    def flag(self, name: str) -> str | None:
        """A command line flag, of the WebUI or of an extension that comes with it."""
        files = [*(self.root / "modules").glob("*.py"), *(self.root / "modules_forge").glob("*.py")]
        files += (self.root / "extensions-builtin").glob("*/preload.py")
        option = "--" + name.replace("_", "-")
        for file in (*files, self.root / "backend" / "args.py"):
            text = file.read_text(encoding="utf8", errors="replace") if file.exists() else ""
            if re.search(rf"[\"']{option}[\"']|cmd_opts\.{name} = ", text):
                return VALUE
        return None

    def option(self, name: str) -> str | None:
        """A setting of the WebUI itself."""
        file = self.root / "modules" / "shared_options.py"
        text = file.read_text(encoding="utf8") if file.exists() else ""
        return VALUE if re.search(rf"[\"']{name}[\"']:", text) else None

    def routes(self) -> list[re.Pattern]:
        """Addresses that the API, the page and the extensions that come with a WebUI answer."""
        functions = ("add_api_route", "app.get", "app.post")
        return [pattern for name in functions for pattern in self.patterns(None, name)]

    def _calls_in(self, file: Path) -> list[ast.Call]:
        return [node for node in ast.walk(self.parse(file)) if isinstance(node, ast.Call)]

    def calls(self, files: str, function: str, owner: str) -> list[str]:
        """How the files of a pattern call `owner.function`, by parameters: "p, *args, prompts="."""
        return sorted(
            {
                _call(node)
                for file in sorted(self.root.glob(files))
                for node in self.calls_in(file)
                if isinstance(node.func, ast.Attribute)
                and node.func.attr == function
                and ast.unparse(node.func.value).split(".")[-1] == owner
            }
        )

    def callback_calls(self, event: str) -> list[str]:
        """How the functions added by `script_callbacks.on_<event>` are called."""
        file = self.module_file("modules.script_callbacks")
        tops = _top_level(self.parse(file)) if file else {}
        starts = [tops.get(f"{event}{end}") for end in ("_callback", "_callbacks")]
        return sorted(
            _call(node)
            for start in starts
            if start is not None
            for node in ast.walk(start)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "callback"
        )

    def javascript(self) -> set[str]:
        """Names of the functions that the page's scripts define."""
        files = [self.root / "script.js", *sorted((self.root / "javascript").glob("*.js"))]
        text = "\n".join(f.read_text(encoding="utf8") for f in files if f.exists())
        return set(re.findall(r"^(?:async )?function\s+(\w+)", text, re.M))

    def _patterns(self, keyword: str | None, function: str | None = None) -> list[re.Pattern]:
        """Texts that are given as `keyword=` (elem_id) or as first argument of `function`."""
        found = set()
        files = [*(self.root / "modules").rglob("*.py"), *(self.root / "scripts").glob("*.py")]
        if function:
            files += (self.root / "extensions-builtin").glob("*/scripts/*.py")
        for file in files:
            for node in self.calls_in(file):
                values = [k.value for k in node.keywords if keyword and k.arg == keyword]
                if function and ast.unparse(node.func).endswith(function):
                    values += node.args[:1]
                found |= {_pattern(v) for v in values} - {None}
        return [re.compile(x) for x in sorted(found)]


def parameters(arguments: ast.arguments, *, method: bool = False) -> str:
    """Names of parameters as Python writes them, without annotations and defaults."""
    names = [x.arg for x in arguments.posonlyargs + arguments.args]
    if method and names[:1] in (["self"], ["cls"]):
        del names[0]
    if arguments.vararg:
        names.append(f"*{arguments.vararg.arg}")
    elif arguments.kwonlyargs:
        names.append("*")
    names += [x.arg for x in arguments.kwonlyargs]
    names += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    return f"({', '.join(names)})"


def _describe(node: ast.AST) -> str:
    if isinstance(node, Function):
        return parameters(node.args)
    if isinstance(node, ast.ClassDef):
        for item in node.body:
            if isinstance(item, Function) and item.name == "__init__":
                return f"class{parameters(item.args, method=True)}"
        return "class"
    return VALUE


def _top_level(module: ast.Module) -> dict[str, ast.AST]:
    """What a file defines, also under `if` and `try`; the last one wins, as in Python."""
    found: dict[str, ast.AST] = {}

    def look(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, (*Function, ast.ClassDef)):
                found[node.name] = node
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    found[(alias.asname or alias.name).split(".")[0]] = node
            else:
                found.update(dict.fromkeys(_targets(node), node))
            for name in ("body", "orelse", "finalbody"):
                if isinstance(node, (ast.If, ast.Try, ast.With)):
                    look(getattr(node, name, []))

    look(module.body)
    return found


def _targets(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Assign):
        return [x.id for t in node.targets for x in ast.walk(t) if isinstance(x, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _stored_on(owner: ast.AST, name: str) -> set[str]:
    return {
        node.attr
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
    }


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(x) for x in node.decorator_list)


def _call(node: ast.Call) -> str:
    """Arguments of a call; what is neither a name nor a star is "..."."""
    names = []
    for argument in node.args:
        known = isinstance(argument, (ast.Name, ast.Starred))
        names.append(ast.unparse(argument) if known else "...")
    names += [f"{k.arg}=" if k.arg else f"**{ast.unparse(k.value)}" for k in node.keywords]
    return f"({', '.join(names)})"


def _pattern(node: ast.expr) -> str | None:
    """A regular expression for a text whose variable parts are not known."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [
            re.escape(str(x.value)) if isinstance(x, ast.Constant) else r"\w+" for x in node.values
        ]
        return "".join(parts) if set(parts) != {r"\w+"} else None
    return None
