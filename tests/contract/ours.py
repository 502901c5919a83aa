"""Names of the WebUI that our own code uses, as far as its syntax tree tells.

An expression is followed through imports, attributes, `getattr` with a constant, calls, simple
assignments and functions that return it: `devices.autocast()` is `modules.devices.autocast()`.
Objects that the WebUI hands over are known by the names that our code gives them (`p`, `params`,
...; `self._p` is `p`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("modules", "modules_forge", "backend", "ldm_patched", "networks")
BY_NAME = {"getattr", "hasattr", "setattr", "delattr", "wrap_calls", "unwrap"}
SCRIPT = "modules.scripts.Script"

# Those that meet objects of the WebUI.
_ROOMS = ("hosts", "references", "content", "styles", "methods", "run", "api", "page")


def files() -> list[Path]:
    """Everything of ours that meets a WebUI in Python."""
    package = ROOT / "lib_instantstyle"
    rooms = [path for room in _ROOMS for path in (package / room).rglob("*.py")]
    progress = package / "unet" / "progress.py"  # it reads the WebUI's sampler
    return sorted(
        [
            *rooms,
            progress,
            *(ROOT / "scripts").glob("*.py"),
            ROOT / "preload.py",
            ROOT / "install.py",
        ]
    )


class Names(ast.NodeVisitor):
    """Collects the names of one file in `found`: name -> first line."""

    def __init__(self, roots: Iterable[str]) -> None:
        self.found: dict[str, int] = {}
        self._known = {name: [name] for name in roots}  # one of them, by the WebUI
        self._returns: dict[str, ast.expr] = {}

    def read(self, tree: ast.Module) -> dict[str, int]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                results = [x.value for x in ast.walk(node) if isinstance(x, ast.Return)]
                if len(results) == 1 and isinstance(results[0], ast.Name):
                    self._returns[node.name] = results[0]
        self.visit(tree)
        return self.found

    def _note(self, name: str, node: ast.AST) -> None:
        self.found.setdefault(name, node.lineno)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.split(".")[0]
            if top in PACKAGES:
                self._note(alias.name, node)
                self._add(alias.asname or top, alias.name if alias.asname else top)

    def _import_from(self, node: ast.ImportFrom) -> None:
        if (node.module or "").split(".")[0] in PACKAGES:
            self._note(node.module, node)
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                self._note(name, node)
                self._add(alias.asname or alias.name, name)

    def _add(self, here: str, name: str) -> None:
        """The same name may stand for two modules: `try: from backend import x`."""
        if name not in self._known.setdefault(here, []):
            self._known[here].append(name)

    # -- scopes ------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outside = dict(self._known)
        self.generic_visit(node)
        self._known = outside

    def _comprehension(self, node) -> None:
        outside = dict(self._known)
        for part in node.generators:
            for name in ast.walk(part.target):
                if isinstance(name, ast.Name):
                    self._known.pop(name.id, None)
        self.generic_visit(node)
        self._known = outside

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        names = self.resolve(node.value)
        if names and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            self._known[node.targets[0].id] = names

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(SCRIPT in self.resolve(base) for base in node.bases):
            for item in ast.walk(node):
                if isinstance(item, ast.FunctionDef) and item in node.body:
                    self._note(f"{SCRIPT}.{item.name}", item)
                elif isinstance(item, ast.Attribute) and ast.unparse(item.value) == "self":
                    self._note(f"{SCRIPT}.{item.attr}", item)
        self.generic_visit(node)

    # -- expressions -------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._expression(node)

    def visit_Call(self, node: ast.Call) -> None:
        self._expression(node)

    def _expression(self, node: ast.expr) -> None:
        for name in self.resolve(node):
            if not name.endswith("()"):
                self._note(name, node)
        self.generic_visit(node)

    def resolve(self, node: ast.expr) -> list[str]:
        """The WebUI's names for an expression; none if it is not the WebUI's."""
        if isinstance(node, ast.Name):
            return self._known.get(node.id, [])
        if isinstance(node, ast.Attribute):
            owners = self.resolve(node.value)
            if not owners and ast.unparse(node.value) == "self":
                return self._known.get(node.attr.lstrip("_"), [])
            return [f"{owner}.{node.attr}" for owner in owners]
        if isinstance(node, ast.BoolOp):
            return [name for value in node.values for name in self.resolve(value)]
        if isinstance(node, ast.Call):
            return self._resolve_call(node)
        return []

    def _resolve_call(self, node: ast.Call) -> list[str]:
        function = ast.unparse(node.func)
        constants = [x.value for x in node.args if isinstance(x, ast.Constant)]
        texts = [x for x in constants if isinstance(x, str)]
        if function == "sys.modules.get" and texts and texts[0] in PACKAGES:
            return [texts[0]]
        if function in BY_NAME and texts:
            return [f"{owner}.{texts[0]}" for owner in self.resolve(node.args[0])]
        if function == "live.sd_model":  # of ours: the attribute, where the queue lock is held
            return [f"{owner}.sd_model" for owner in self.resolve(node.args[0])]
        if function in self._returns:
            return self.resolve(self._returns[function])
        return [f"{name}()" for name in self.resolve(node.func)]


def names(roots: Iterable[str]) -> dict[str, str]:
    """name -> "file:line" for all files of ours."""
    found: dict[str, str] = {}
    for file in files():
        tree = ast.parse(file.read_text(encoding="utf8"))
        for name, line in Names(roots).read(tree).items():
            found.setdefault(name, f"{file.relative_to(ROOT).as_posix()}:{line}")
    return found


def javascript() -> set[str]:
    """Functions that our scripts call and neither they nor the browser define."""
    found: set[str] = set()
    for file in sorted((ROOT / "javascript").glob("*.js")):
        text = file.read_text(encoding="utf8")
        text = re.sub(r"//.*|\"[^\"\n]*\"|'[^'\n]*'", "", text)
        text = re.sub(r"/(?:\\.|[^/\n\\ ])+/", "", text)  # regular expressions
        called = set(re.findall(r"(?<![.\w])([a-zA-Z_]\w*)\(", text))
        defined = set(re.findall(r"(?:function|class)\s+(\w+)", text))
        defined |= set(re.findall(r"(?:const|let|var)\s+(\w+)\s*=", text))
        parameters = re.findall(r"(?:function\s*\w*\s*|^|[^\w])\(([\w\s,]*)\)\s*(?:=>|\{)", text)
        defined |= {x.strip() for p in parameters for x in p.split(",")}
        found |= called - defined - BROWSER
    return found


BROWSER = {
    *("if", "for", "while", "switch", "catch", "function", "return", "typeof", "async"),
    *("Promise", "Array", "Boolean", "String", "Number", "Image", "FileReader", "File", "Blob"),
    *("createImageBitmap", "fetch", "setTimeout", "clearTimeout", "requestAnimationFrame"),
    *("setInterval", "clearInterval"),
    *(
        "Map",
        "Set",
        "WeakMap",
        "WeakSet",
        "Uint8Array",
        "Math",
        "JSON",
        "Object",
        "Error",
        "Event",
        "CustomEvent",
        "parseFloat",
    ),
    *("DOMParser", "ImageData"),
    *("parseInt", "isNaN", "isFinite", "getComputedStyle", "atob", "btoa", "URL", "DataTransfer"),
    *("MutationObserver", "ResizeObserver", "matchMedia", "AbortController", "alert", "confirm"),
}


def texts(pattern: str, *folders: str) -> set[str]:
    """Whatever the pattern's group finds in our files of the folders."""
    found: set[str] = set()
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".py", ".js"):
                found |= set(re.findall(pattern, file.read_text(encoding="utf8")))
    return found
