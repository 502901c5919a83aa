"""What the documents list is what there is."""

import ast
import re
from pathlib import Path

import pytest

from lib_instantstyle.units.block_weights import BlockWeights, parse_block_weights
from lib_instantstyle.units.presets import PRESETS
from tests import field_table
from tests.units import FIELDS, Unit, parse_unit

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lib_instantstyle"
DOCS = ROOT / "docs"
TEXT = (DOCS / "fields.md").read_text(encoding="utf-8")
FIELDS_PART, PRESETS_PART, BLOCKS_PART = re.split(r"^## (?:Presets|Blocks)$", TEXT, flags=re.M)[:3]

ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("tests/**/*.md")])

WORDS = ("name", "text", "name of a file")  # values that are no list


def rows(part):
    """The cells of the tables in a part of the document."""
    for line in part.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def documented_fields():
    for names, values, default, _ in rows(FIELDS_PART):
        found = re.findall(r"`(\w+)`", names)
        defaults = [default] if len(found) == 1 else default.split(", ")
        yield from ((name, values, given) for name, given in zip(found, defaults))


def test_every_field_is_listed_once_in_order():
    assert [name for name, _, _ in documented_fields()] == list(FIELDS)


def test_the_table_is_current():
    """`make docs` writes it."""
    assert field_table.with_table(TEXT) == TEXT


@pytest.mark.parametrize(("name", "values", "default"), list(documented_fields()))
def test_the_default_and_the_values_are_the_real_ones(name, values, default):
    real = getattr(Unit(), name)
    shown = default.strip('"')
    if real is None or real == () or (real == "" and shown == "none"):
        assert shown in ("none", "null")
    elif isinstance(real, bool):
        assert shown == str(real).lower()
    elif isinstance(real, (int, float)):
        assert float(shown) == real
    else:
        assert shown == (str(real) if not isinstance(real, BlockWeights) else "")
    limits = re.match(r"(-?[\d.]+) to ([\d.]+)", values)
    if limits:
        low, high = map(float, limits.groups())
        for value in (low, high):
            parse_unit({name: value})
        for value in (low - 1, high + 1):
            with pytest.raises(ValueError, match=name):
                parse_unit({name: value})
    elif isinstance(real, str) and "see" not in values and values not in WORDS:
        for value in values.split(", "):
            parse_unit({name: value})


def test_every_preset_is_listed():
    names = [name for row in rows(PRESETS_PART) for name in re.findall(r"`([^`]+)`", row[0])]
    assert names == list(PRESETS)


def test_the_examples_of_blocks_are_read():
    examples = [text for text in re.findall(r"`([^`]+)`", BLOCKS_PART) if re.search(r"[=:]", text)]
    assert len(examples) >= 9
    for text in examples:
        parse_block_weights(text.replace("1, ...]", "1, 0, 0, 1, 0, 0, 0, 0]"))


def test_every_file_that_the_architecture_names_is_there():
    folders = sorted(path.parent.name for path in PACKAGE.glob("methods/*/fields.py"))
    named = {
        path.replace("<name>", folder)
        for path in re.findall(r"[\w/<>]+\.py\b", ARCHITECTURE)
        for folder in folders
    }
    assert len(named) > 50
    assert [x for x in named if not (PACKAGE / x).is_file() and not (ROOT / x).is_file()] == []


def test_the_tree_of_the_architecture_lists_every_room_in_the_order_of_the_import_rule():
    """Names at the beginning of the lines of the first drawing, folders with a slash."""
    tree = ARCHITECTURE.split("```")[1]
    listed = re.findall(r"^  ([\w.]+/?) ", tree, flags=re.M)
    there = [x.name + "/" * x.is_dir() for x in PACKAGE.iterdir() if not x.name.startswith("__")]
    assert sorted(listed) == sorted(there)
    rule = ast.parse(Path(__file__).with_name("test_architecture.py").read_text(encoding="utf-8"))
    (rooms,) = (
        ast.literal_eval(node.value)
        for node in rule.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS"
    )
    names = [re.sub(r"\.py$|/$", "", name) for name in listed]
    assert [name for name in names if name in rooms] == [x for x in rooms if x != "__init__"]


def test_the_architecture_can_be_read_in_one_sitting():
    """What `make journey` measures is not counted."""
    assert len(re.sub(r"(?s)<!-- journey -->.*", "", ARCHITECTURE).splitlines()) <= 200


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    files = [target for target in targets if "://" not in target]
    assert [target for target in files if not (document.parent / target).exists()] == []
