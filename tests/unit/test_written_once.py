"""What a method or a field declares is written nowhere else: its name, label, words and range."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

from lib_instantstyle.methods import TABLE
from lib_instantstyle.units.values import Integer, Number, OneOf

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lib_instantstyle"
SOURCES = [*sorted(PACKAGE.rglob("*.py")), *sorted(ROOT.glob("scripts/*.py"))]
TREES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in SOURCES
}
NODES = [(f"{name}:", node) for name, tree in TREES.items() for node in ast.walk(tree)]
TEXTS = [
    (f"{name}{node.lineno}", node.value)
    for name, node in NODES
    if isinstance(node, ast.Constant) and isinstance(node.value, str)
]
JAVASCRIPT = "\n".join(
    line
    for path in sorted(ROOT.glob("javascript/*.js"))
    for line in path.read_text(encoding="utf-8").splitlines()
    if not line.strip().startswith(("//", "*", "/*"))
)
METHODS = [*TABLE.methods]
METHOD_OF_FOLDER = {
    path.parent.name: import_module(
        f"lib_instantstyle.methods.{path.parent.name}.fields"
    ).DECLARED.name
    for path in PACKAGE.glob("methods/*/fields.py")
}
VOCABULARIES = {
    field.parse.words: field.name
    for field in TABLE.fields.values()
    if isinstance(field.parse, OneOf)
}
RANGES = {
    (float(field.parse.low), float(field.parse.high))
    for field in TABLE.fields.values()
    if isinstance(field.parse, (Number, Integer))
}


def places(matches):
    """Where in the sources a node stands that `matches`."""
    return [f"{name}{node.lineno}" for name, node in NODES if matches(node)]


def files_with(text):
    """The sources that hold `text` as a string of its own."""
    return {place.split(":")[0] for place, found in TEXTS if found == text}


def in_javascript(text):
    return any(f"{quote}{text}{quote}" in JAVASCRIPT for quote in "\"'`")


def text_of(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def number_of(node):
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return float(value) if type(value) in (int, float) else None


def test_there_is_something_to_look_for():
    assert len(METHODS) >= 5
    assert len(VOCABULARIES) >= 8
    assert len(RANGES) >= 4


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_named_in_its_own_folder_alone(name):
    """So nothing can be compared with the name elsewhere, nor be a table with a row for it."""
    for path in files_with(name):
        assert path.startswith("lib_instantstyle/methods/"), path
        folder = path.split("/")[2]
        assert folder == "__init__.py" or METHOD_OF_FOLDER[folder] == name, path
    assert not in_javascript(name)


@pytest.mark.parametrize("field", TABLE.fields.values(), ids=lambda field: field.name)
def test_a_label_is_written_once(field):
    """The headings of the page's groups, in units/field.py, may read like a label.

    A method may call its kind of file what its own field is called.
    """
    for text in {field.label, field.meaning}:
        found = files_with(text) - {"lib_instantstyle/units/field.py"}
        assert len({path if "/methods/" not in path else Path(path).parent for path in found}) == 1
        assert not in_javascript(text)


@pytest.mark.parametrize("words", VOCABULARIES, ids=VOCABULARIES.get)
def test_a_choice_list_is_written_once(words):
    """Tables from a word to what implements it are dictionaries, and not counted."""

    def lists_them(node):
        if not isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            return False
        return set(words) <= {text_of(entry) for entry in node.elts}

    assert len(places(lists_them)) <= 1


def test_a_range_is_written_in_the_table_alone():
    def holds_one(node):
        """A comparison `low <= value <= high`, or such bounds as keywords or in a dictionary."""
        if isinstance(node, ast.Compare) and len(node.ops) == 2:
            return (number_of(node.left), number_of(node.comparators[1])) in RANGES - {(0.0, 1.0)}
        if isinstance(node, ast.Call):
            given = {keyword.arg: number_of(keyword.value) for keyword in node.keywords}
            return any(given.get(name) is not None for name in ("minimum", "maximum", "ge", "le"))
        if isinstance(node, ast.Dict):
            return any(
                text_of(key) in ("minimum", "maximum") and number_of(value) is not None
                for key, value in zip(node.keys, node.values)
                if key is not None
            )
        return False

    assert not [place for place in places(holds_one) if "/units/" not in place]
