"""Our code uses nothing of a WebUI that the table in tests/contract does not list."""

import ast
import os
import re
from pathlib import Path

import pytest

from tests.contract import ours
from tests.contract.__main__ import report, which
from tests.contract.table import HOOKS, PARTS, Table
from tests.contract.tree import Tree

TABLE = Table()
ADD = (
    "add it with `python -m tests.contract --write WEBUI ...`, which reads its facts from the "
    "sources of those WebUIs, or by hand to tests/contract/table.json"
)


@pytest.mark.parametrize("part", PARTS)
def test_the_table_lists_all_that_our_code_touches(part):
    missing = TABLE.missing()[part]
    assert not missing, f"not in the table: {missing}; {ADD}"


def test_the_table_lists_nothing_that_our_code_left():
    touched = TABLE.ours()
    left = {part: sorted(set(TABLE.content[part]) - touched[part].keys()) for part in PARTS}
    assert not any(left.values()), f"no longer used: {left}; renew the table"


def test_some_webui_has_every_name():
    assert [n for part in PARTS for n, fact in TABLE.content[part].items() if not fact] == []


def test_every_webui_is_named_with_its_version_and_commit():
    assert set(TABLE.hosts) == {"a1111", "forge", "neo", "reforge", "classic", "ersatz"}
    for about in TABLE.hosts.values():
        assert about["name"] and about["version"] and re.fullmatch(r"[0-9a-f]{40}", about["commit"])


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("from modules import shared\nshared.opts.nothing", "modules.shared.opts.nothing"),
        ("from modules import shared as s\ns.nothing()", "modules.shared.nothing"),
        ("import modules.nothing", "modules.nothing"),
        ("from backend.nothing import x", "backend.nothing"),
        ("def f(p): return p.nothing", "p.nothing"),
        ("def f(self): self._p.nothing()", "p.nothing"),
        ("def f(p): return getattr(p, 'nothing', None)", "p.nothing"),
        ("def f(p): sampler = p.sampler; sampler.nothing()", "p.sampler.nothing"),
        ("def f(p): wrap_calls(p, 'nothing', f)", "p.nothing"),
        ("def f(params): return params.denoiser.nothing", "params.denoiser.nothing"),
        (
            "from modules import shared\nshared.OptionInfo(1).nothing('x')",
            "modules.shared.OptionInfo().nothing",
        ),
        (
            "from modules import scripts\nclass S(scripts.Script):\n  def nothing(self): pass",
            "modules.scripts.Script.nothing",
        ),
    ],
)
def test_a_name_that_is_not_listed_is_found(code, name):
    found = ours.Names(TABLE.roots).read(ast.parse(code))
    assert name in found
    assert not TABLE.covers(name)


def test_what_lies_below_a_value_is_not_the_webuis():
    assert TABLE.covers("p.extra_generation_params.update")
    assert TABLE.covers("modules.devices.autocast()")
    assert not TABLE.covers("p.sd_model.nothing")


def test_our_hooks_take_whatever_any_webui_hands_them():
    tree = ast.parse((ours.ROOT / "scripts" / "instantstyle.py").read_text(encoding="utf8"))
    methods = {n.name: n.args for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    hooks = [m[1] for name in TABLE.content["names"] if (m := re.fullmatch(HOOKS, name))]
    assert hooks
    for hook in hooks:
        calls = TABLE.content["calls"][f"hook {hook}"]
        text = str(calls)
        assert methods[hook].vararg is not None, hook
        assert "**kwargs" not in text or methods[hook].kwarg is not None, hook
    for method in ("title", "show", "ui"):
        known = TABLE.content["names"][f"modules.scripts.Script.{method}"].strip("()").split(", ")
        assert [x.arg for x in methods[method].args[1:]] == [x for x in known if x]


SOURCE = """
import abc
from modules.base import Base
state = None
def function(a, *, b=1): pass
class Thing(Base):
    field: int = 0
    def __init__(self, x): self.kept = x
    def method(self, p, *args, **kwargs): self.scripts.process(p, prompts=1, **kwargs)
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "thing.py").write_text(SOURCE)
    (tmp_path / "modules" / "base.py").write_text("class Base:\n    def inherited(self): pass\n")
    (tmp_path / "script.js").write_text("function updateInput(target) {}\n")
    return Tree(tmp_path)


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("modules.thing", "module"),
        ("modules.thing.state", "value"),
        ("modules.thing.function", "(a, *, b)"),
        ("modules.thing.Thing", "class(x)"),
        ("modules.thing.Thing.field", "value"),
        ("modules.thing.Thing.kept", "value"),
        ("modules.thing.Thing.method", "(p, *args, **kwargs)"),
        ("modules.thing.Thing.inherited", "()"),
        ("modules.thing.nothing", None),
        ("modules.thing.Thing.nothing", None),
        ("modules.nothing.at_all", None),
    ],
)
def test_facts_of_a_source_tree(tree, name, fact):
    assert tree.fact(name) == fact


def test_calls_and_scripts_of_a_source_tree(tree):
    assert tree.calls("modules/*.py", "process", "scripts") == ["(p, prompts=, **kwargs)"]
    assert tree.javascript() == {"updateInput"}


def test_a_difference_is_said(tree):
    lines = list(TABLE.compare(tree, "a1111", "names", "javascript"))
    assert "names: modules.errors.report: absent here, (message, *, exc_info) in the table" in lines
    assert "javascript: onUiUpdate: absent here, value in the table" in lines
    assert not [line for line in lines if "updateInput" in line]


@pytest.mark.skipif(
    not os.environ.get("INSTANTSTYLE_WEBUI"), reason="INSTANTSTYLE_WEBUI names no WebUI to read"
)
def test_the_table_is_what_the_real_webui_says():
    folder = Path(os.environ["INSTANTSTYLE_WEBUI"])
    assert report(TABLE, which(folder), folder) == 0
