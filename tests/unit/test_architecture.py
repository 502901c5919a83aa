"""Imports follow one direction: pure <- tensor <- hosts <- methods <- webui <- scripts."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ["pure", "tensor", "hosts", "methods", "webui"]
MAY_IMPORT = {  # what comes from outside, besides the standard library and lower rooms
    "pure": set(),
    "tensor": {"torch", "safetensors", "numpy", "PIL"},
    "hosts": {"torch", "modules", "backend", "ldm_patched", "modules_forge", "fastapi"},
    "methods": {"torch"},
    "webui": {"torch", "gradio", "fastapi", "PIL", "numpy"},
}
FILES = sorted((ROOT / "lib_instantstyle").rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_import_runs_back(path):
    parts = path.relative_to(ROOT / "lib_instantstyle").parts
    if len(parts) == 1:
        assert set(imports(path)) == set()
        return
    room = parts[0]
    allowed_rooms = ROOMS[: ROOMS.index(room) + 1]
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "lib_instantstyle":
            assert not rest or rest[0] in allowed_rooms, f"{room} imports {name}"
        elif top not in sys.stdlib_module_names:
            assert top in MAY_IMPORT[room], f"{room} imports {name}"


def test_only_the_script_subclasses_script_and_holds_no_logic():
    script = ROOT / "scripts" / "instantstyle.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) < 120
    tree = ast.parse(script.read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, (ast.If, ast.For, ast.While, ast.Try))]


def test_pure_needs_nothing_but_python():
    code = (
        "import sys; "
        "from lib_instantstyle.pure import units, infotext, catalog, presets, schedule, rows; "
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
    ids=lambda p: p.relative_to(ROOT).as_posix(),
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
