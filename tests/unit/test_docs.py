"""What the documents list is what there is."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
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
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "tests/**/*.md", ".github/*.md", "lib_*/**/*.md")
    for path in ROOT.glob(pattern)
)
FOR_USERS = [ROOT / "README.md", *(DOCS / f"{x}.md" for x in ("guide", "api", "compatibility"))]
OTHERS = [DOCS / f"{x}.md" for x in ("recipes", "without-an-adapter", "performance")]
# Words in a sense that papers and WebUIs do not use: they say "generated", "together with" ...
DIALECT = (
    "painted", "paints", "painting", "to the byte", "made by one hand", "what came", "who only",
    "spoken for", "how much of it", "told of", "is asked", "will serve", "stands beside",
    "stand beside", "nothing else of it",
)  # fmt: skip

WORDS = ("name", "text", "name of a file")  # values that are no list


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def rows(part: str) -> Iterator[list[str]]:
    """The cells of the tables in a part of the document."""
    for line in part.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def documented_fields() -> Iterator[tuple[str, str, str]]:
    for names, values, default, _ in rows(FIELDS_PART):
        found = re.findall(r"`(\w+)`", names)
        defaults = [default] if len(found) == 1 else default.split(", ")
        yield from ((name, values, given) for name, given in zip(found, defaults))


def test_every_field_is_listed_once_in_order() -> None:
    assert [name for name, _, _ in documented_fields()] == list(FIELDS)


def test_the_table_is_current() -> None:
    """`make docs` writes it."""
    assert field_table.with_table(TEXT) == TEXT


@pytest.mark.parametrize(("name", "values", "default"), list(documented_fields()))
def test_the_default_and_the_values_are_the_real_ones(name: str, values: str, default: str) -> None:
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
        for word in values.split(", "):
            parse_unit({name: word})


def test_every_preset_is_listed() -> None:
    names = [name for row in rows(PRESETS_PART) for name in re.findall(r"`([^`]+)`", row[0])]
    assert names == list(PRESETS)


def test_the_examples_of_blocks_are_read() -> None:
    examples = [text for text in re.findall(r"`([^`]+)`", BLOCKS_PART) if re.search(r"[=:]", text)]
    assert len(examples) >= 9
    for text in examples:
        parse_block_weights(text.replace("1, ...]", "1, 0, 0, 1, 0, 0, 0, 0]"))


def test_every_file_that_the_architecture_names_is_there() -> None:
    folders = sorted(path.parent.name for path in PACKAGE.glob("methods/*/fields.py"))
    named = {
        path.replace("<name>", folder)
        for path in re.findall(r"[\w/<>]+\.py\b", ARCHITECTURE)
        for folder in folders
    }
    assert len(named) > 50
    assert [x for x in named if not (PACKAGE / x).is_file() and not (ROOT / x).is_file()] == []


def test_the_tree_of_the_architecture_lists_every_room_in_the_order_of_the_import_rule() -> None:
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


def test_the_architecture_can_be_read_in_one_sitting() -> None:
    """What `make journey` measures is not counted."""
    assert len(re.sub(r"(?s)<!-- journey -->.*", "", ARCHITECTURE).splitlines()) <= 200


# -- what the text names is there ----------------------------------------------------------------


def without_code(text: str) -> str:
    """The text without code blocks, comments, and what stands between backticks."""
    text = re.sub(r"(?ms)^ *```.*?^ *```$|<!--.*?-->", "", text)
    return re.sub(r"`[^`]+`", "code", text)


def anchors(text: str) -> Iterator[str]:
    """The anchors of the headings, as GitHub makes them; a second one of a name gets a number."""
    seen: Counter[str] = Counter()
    for title in re.findall(r"^#{1,6} (.+)$", re.sub(r"(?ms)^```.*?^```$", "", text), re.M):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        yield f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor
        seen[anchor] += 1


def broken(document: Path, text: str) -> Iterator[str]:
    """The targets of links and pictures in `text` that are no file or no heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", without_code(text)):
        path, _, anchor = "".join(target).partition("#")
        file = document.parent / path if path else document
        if "://" in path:
            continue
        if not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8"))):
            yield "".join(target)


def commands(text: str) -> Iterator[str]:
    """The targets of make that are named in code blocks and between backticks."""
    blocks = re.findall(r"(?ms)^ *```.*?^ *```$|^    [^\n]*$", text)
    spans = re.findall(r"`([^`\n]+)`", text)
    lines = [line.partition("#")[0] for part in (*blocks, *spans) for line in part.splitlines()]
    for line in lines:
        for words in re.findall(r"(?:^|\s)make( .*)", line):
            yield from re.sub(r'\w+=("[^"]*"|\S*)|-j \d+|-\S+', "", words).split()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_to_a_file_and_a_heading(document: Path) -> None:
    assert list(broken(document, document.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_the_makefile_has_every_target_that_is_named(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = " ".join(re.findall(r"^([\w.-]+(?: [\w.-]+)*):(?!=)", makefile, re.M)).split()
    assert set(commands(document.read_text(encoding="utf-8"))) - set(known) == set()


def test_a_broken_link_and_an_unknown_target_are_seen() -> None:
    """What the two tests above rely on."""
    readme = ROOT / "README.md"
    links = "[a](docs/none.md) ![b](none.png) [c](#none) [d](docs/api.md#plan) [e](docs/api.md#no)"
    assert list(broken(readme, links)) == ["docs/none.md", "none.png", "#none", "docs/api.md#no"]
    assert list(broken(readme, '<img src="docs/none.png">')) == ["docs/none.png"]
    named = '`make -j 2 nine` `A=b make six ARGS="-k seven"`\n```sh\nmake ten  # make it\n```\n'
    assert sorted(commands(named)) == ["nine", "six", "ten"]
    assert list(anchors("# A b\n## `c` (d)\n## A b\n")) == ["a-b", "c-d", "a-b-1"]


OF_THE_WEBUI = {
    "Extensions",
    "Install from URL",
    "Install",
    "Installed",
    "Check for updates",
    "Settings",
}


@pytest.mark.parametrize("document", [*FOR_USERS, *OTHERS], ids=name_of)
def test_controls_and_presets_that_are_named_are_on_the_page(document: Path) -> None:
    """Controls are in bold, as `**Advanced > Method**`; bold sentences end with a full stop."""
    text = document.read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    named = [name for name in re.findall(r"\*\*([^*]+)\*\*", text) if not name.endswith(".")]
    controls = {re.sub(r"\d+", "{number}", part) for name in named for part in name.split(" > ")}
    assert [name for name in controls - OF_THE_WEBUI if name not in code] == []
    assert set(re.findall(r"[Pp]reset `([^`]+)`", text)) <= {*PRESETS}


# -- words ---------------------------------------------------------------------------------------


def test_the_readme_is_short_and_names_demo_and_test_first() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert list(commands(text))[:2] == ["demo", "test"]


def sentences(text: str) -> Iterator[str]:
    """The sentences of paragraphs, list items and quotes; tables and headings are left out.

    They end at a full stop, question or exclamation mark before a space or the end of the part.
    What stands between backticks is one word, and the text of a link counts, not its target.
    """
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)|<[^>]+>", r"\1", without_code(text))
    text = re.sub(r"(?m)^ *(\|.*|#+ .*)$", "", text)
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*>]|\d+\.) )", text):
        words = re.sub(r"^\s*(?:[-*>]|\d+\.) |\n> ?", " ", part)
        yield from re.split(r"(?<=[.!?])[*)\"]*\s+", " ".join(words.split()))


def length(sentence: str) -> int:
    return len(re.findall(r"\S*\w\S*", sentence))


@pytest.mark.parametrize("document", FOR_USERS, ids=name_of)
def test_sentences_are_short(document: Path) -> None:
    found = sentences(document.read_text(encoding="utf-8"))
    assert [sentence for sentence in found if length(sentence) > 30] == []


@pytest.mark.parametrize("document", [*FOR_USERS, *OTHERS], ids=name_of)
def test_words_are_those_of_the_field(document: Path) -> None:
    text = without_code(document.read_text(encoding="utf-8")).lower()
    assert [word for word in DIALECT if re.search(rf"\b{word}\b", text)] == []


def test_sentences_are_told_apart_and_counted() -> None:
    text = "# No\n\nOne `a b` [two](x.md).\nThree! \n\n| no | no |\n- Four\n  five.\n- Six: seven."
    assert list(sentences(text))[1:] == ["One code two.", "Three!", "Four five.", "Six: seven."]
    assert [length(sentence) for sentence in sentences(text)] == [0, 3, 1, 2, 2]
