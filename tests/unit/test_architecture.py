"""The rooms of the package: which may import which, and what from outside."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lib_instantstyle"
# A room imports itself and those above it. Files beside the rooms count as rooms of their own.
ROOMS = [
    "__init__", "errors", "limits", "layout", "session", "stages", "files", "units", "unet",
    "models", "clip", "hosts", "references", "content", "styles", "methods", "run", "api", "page",
]  # fmt: skip
WEBUI = {"modules", "backend", "ldm_patched", "modules_forge"}
MAY_IMPORT = {  # what comes from outside, besides the standard library
    "__init__": set(),
    "errors": set(),
    "limits": set(),
    "layout": set(),
    "session": set(),
    "stages": set(),
    "files": set(),  # but see TENSORS
    "units": set(),
    "unet": {"torch", "numpy", "PIL"},
    "models": {"torch"},
    "clip": {"torch", "numpy", "PIL"},
    "hosts": {"torch", "fastapi"} | WEBUI,
    "references": {"torch", "numpy", "PIL", "safetensors"},
    "content": {"torch", "safetensors"},
    "styles": {"torch", "safetensors"},
    "methods": {"torch", "PIL"},
    "run": {"torch", "PIL"},
    "api": {"fastapi"},
    "page": {"gradio"},
}
TENSORS = "files/tensors.py"  # the only one of its room that needs torch
FILES = sorted(PACKAGE.rglob("*.py"))
METHODS = sorted(
    path.name for path in (PACKAGE / "methods").iterdir() if path.joinpath("fields.py").exists()
)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def own_imports(path):
    """Modules of the package that `path` imports, as paths below it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, *rest = name.split(".")
            if top == PACKAGE.name and rest:
                yield "/".join(rest)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_itself_and_those_above_it(path):
    room = room_of(path)
    allowed = {*ROOMS[: ROOMS.index(room) + 1], "NAME", "__version__"}
    assert not {name for name in own_imports(path) if name.split("/")[0] not in allowed}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_what_comes_from_outside(path):
    allowed = MAY_IMPORT[room_of(path)] | {PACKAGE.name}
    if path == PACKAGE / TENSORS:
        allowed = allowed | {"torch"}
    tops = {name.split(".")[0] for name in imports(path)}
    assert not {top for top in tops - allowed if top not in sys.stdlib_module_names}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nobody_imports_a_method_but_the_room_itself(path):
    """`methods/__init__` loads them by name; a method's own files know each other."""
    own = path.relative_to(PACKAGE).parts[:2]
    for name in own_imports(path):
        parts = tuple(name.split("/"))[:2]
        if parts[0] == "methods" and parts[-1] in METHODS:
            assert parts == own, f"{name_of(path)} imports {name}"


def test_a_folder_has_few_files():
    for folder in {path.parent for path in FILES}:
        assert len([path for path in FILES if path.parent == folder]) <= 21, folder


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_function_takes_many_parameters(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            named = [arg.arg for arg in given if arg.arg not in ("self", "cls")]
            assert len(named) <= 6, f"{node.name} takes {', '.join(named)}"


# Words that do not say what a name holds, or that only this project ever used for it.
UNCLEAR = {
    "answer", "answers", "asked", "looking", "of", "outlook", "reading", "said", "say", "scene",
    "seen", "sight", "sights", "spoken_for", "tell", "there", "told", "tower", "towers", "visitors",
    "walk",
}  # fmt: skip


def names_in(tree):
    """Names that others meet: parameters, and what modules and classes define."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            given = node.args
            extra = [arg for arg in (given.vararg, given.kwarg) if arg]
            for arg in [*given.posonlyargs, *given.args, *given.kwonlyargs, *extra]:
                yield arg.arg, node
        if not isinstance(node, (ast.Module, ast.ClassDef)):
            continue
        for item in node.body:
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield item.name, item
            elif isinstance(item, (ast.Assign, ast.AnnAssign)):
                targets = item.targets if isinstance(item, ast.Assign) else [item.target]
                for name in (each for target in targets for each in ast.walk(target)):
                    if isinstance(name, ast.Name):
                        yield name.id, item


def unclear_names(source):
    """The names in `source` that are one of these words; a constructor may be called `of`."""
    for name, node in names_in(ast.parse(source)):
        is_constructor = name == "of" and isinstance(node, ast.FunctionDef) and node.name == "of"
        if name.strip("_").lower() in UNCLEAR and not is_constructor:
            yield f"{node.lineno}: {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_names_say_what_they_hold(path):
    found = set(unclear_names(path.read_text(encoding="utf-8")))
    if path == PACKAGE / "files" / "torch_archive.py":  # a file object has this method
        found = {name for name in found if not name.endswith(": tell")}
    assert not found


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def f(told): pass", "told"),
        ("def f(*, _said=1): pass", "_said"),
        ("f = lambda of: of", "of"),
        ("SIGHTS = 1", "SIGHTS"),
        ("a, tower = 1, 2", "tower"),
        ("class A:\n    asked: int = 0", "asked"),
        ("class A:\n    def _told(self): pass", "_told"),
    ],
)
def test_unclear_names_are_found(source, name):
    assert [found.split(": ")[1] for found in unclear_names(source)] == [name]


def test_only_the_script_subclasses_script_and_holds_no_logic():
    script = ROOT / "scripts" / "instantstyle.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) < 120
    tree = ast.parse(script.read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, (ast.If, ast.For, ast.While, ast.Try))]


_WITHOUT_TORCH = [
    *(f"units.{path.stem}" for path in FILES if room_of(path) == "units"),
    *(
        f"files.{path.stem}"
        for path in FILES
        if room_of(path) == "files" and path != PACKAGE / TENSORS
    ),
    *(f"methods.{name}.fields" for name in METHODS),
    "methods",
    "models.catalog",
    "styles.library",
]


def test_what_is_needed_without_a_picture_needs_nothing_but_python():
    """The page, the lists and a generation without style: none of these may wait for torch."""
    modules = ", ".join(f"lib_instantstyle.{name}" for name in _WITHOUT_TORCH)
    code = (
        f"import sys, {modules}; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'numpy', 'PIL'}))"
    )
    run = [sys.executable, "-c", code]
    assert (
        subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"
    )


RUNS_CODE = {"pickle", "_pickle", "shelve", "marshal", "subprocess", "code", "runpy", "joblib"}


def called(node):
    """The name of what is called, with dots."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


@pytest.mark.parametrize(
    "path",
    [*FILES, *ROOT.glob("scripts/*.py"), *ROOT.glob("*.py")],
    ids=name_of,
)
def test_nothing_runs_what_a_stranger_wrote(path):
    """Beside the S rules of the linter; none is silenced here.

    Before torch 2.6 torch.load runs a TorchScript program, whatever `weights_only` says.
    """
    source = path.read_text(encoding="utf-8")
    for line in source.splitlines():
        assert "noqa: S" not in line or re.search(r"noqa: S(310|IM\d+)\b", line), line
    assert not set(imports(path)) & RUNS_CODE
    for node in ast.walk(ast.parse(source)):
        name = called(node)
        assert name not in {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
        reader = re.search(r"torch.*load$|\bjit\.|serialization|torch\._C|[uU]npickle", name)
        assert not reader, ast.unparse(node)
        if isinstance(node, ast.keyword):
            assert node.arg != "weights_only"
        if isinstance(node, ast.ImportFrom) and node.module == "torch":
            assert not {alias.name for alias in node.names} & {"load", "jit", "serialization"}


def test_files_are_short():
    long = {
        p.name: n for p in FILES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long


def test_no_test_module_is_a_library():
    """What tests share stands in conftest.py and in modules that are no tests."""
    found = [
        (path.relative_to(ROOT).as_posix(), node.lineno, name)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (getattr(node, "module", None) or "", *(alias.name for alias in node.names))
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert not found


LIVE = {  # who may ask for what a generation works with
    "sd_model": {
        "hosts/__init__.py", "hosts/live.py", "hosts/checkpoint.py", "run/dry_run.py",
    },
    "loaded_networks": {"hosts/text.py"},
    "forge_objects": {"hosts/forge.py", "hosts/diffusion.py"},
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_checkpoint_is_handed_out_in_one_place(path):
    """Everybody else goes through hosts/live.py, which asks for the WebUI's queue lock."""
    name = path.relative_to(PACKAGE).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in LIVE:
            own = ast.unparse(node) in ("shared.sd_model", "live.sd_model")
            assert own or name in LIVE[node.attr], ast.unparse(node)
