"""What strangers send is bounded before it is multiplied, and work grows with its bytes alone."""

import importlib
import json
import re
import struct
import types
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.methods import TABLE
from lib_instantstyle.units.infotext import INFOTEXT_KEY, read, text_to_unit
from tests.unit.archives import archive_of
from tests.unit.readers import entry, safetensors, work
from tests.unit.steps import Steps, TooManySteps

PACKAGE = Path(limits.__file__).parent


# -- growth --------------------------------------------------------------------------------------


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def remembered(value):
    """`value` on the stack and in the memo as 0."""
    return value + b"r\0\0\0\0"


def with_shapes(n):
    """n tensors, all with one tuple of n numbers as their shape and strides."""
    shape = b"(" + b"K\1" * n + b"t"
    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\4tQ"
    )
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0h\0h\0tR"
    return b"\x80\x02" + remembered(shape) + b"](" + tensor * n + b"e."


def with_arguments(n):
    """n calls, all with one tuple of n arguments."""
    arguments = b"(" + b"K\1" * n + b"t"
    call = b"ctorch._utils\n_rebuild_tensor_v2\nh\0R"
    return b"\x80\x02" + remembered(arguments) + b"](" + call * n + b"e."


def with_long_key(n):
    """One dictionary with n entries below a name of n letters."""
    numbers = b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(n))
    return b"\x80\x02}" + text("A" * n) + b"}(" + numbers + b"us."


INPUTS = {
    "letters": ("infotext", lambda n: "a" * n),
    "keys": ("infotext", lambda n: "a:" * n),
    "quotes": ("infotext", lambda n: 'a: "' * n),
    "open texts": ("infotext", lambda n: 'a: "b,' * n),
    "escaped quotes": ("infotext", lambda n: 'a: "' + '\\"' * n),
    "commas": ("infotext", lambda n: "," * n),
    "pairs": ("infotext", lambda n: "weight: 1, " * n),
    "unknown keys": ("infotext", lambda n: ", ".join(f"k{i}: 1" for i in range(n))),
    "a long name above many": ("model file", lambda n: archive_of(with_long_key(n))),
    "one shape of many": ("model file", lambda n: archive_of(with_shapes(n))),
    "one call of many": ("model file", lambda n: archive_of(with_arguments(n))),
    "a long name": ("model file", lambda n: safetensors({"a." * n: entry()})),
    "many names": ("model file", lambda n: safetensors({f"a{i}": entry() for i in range(n)})),
    "many dimensions": ("model file", lambda n: safetensors({"a": entry([10**9] * n)})),
    "a long number": ("model file", lambda n: safetensors({"a": entry([10**n])})),
    "deep metadata": (
        "model file", lambda n: safetensors(b'{"__metadata__":' + b"[" * n + b"]" * n + b"}")
    ),
    "entries": ("blocks", lambda n: "6:1;" * n),
    "numbers": ("blocks", lambda n: [1] * n),
    "an index": ("blocks", lambda n: "9" * n + ":1"),
    "nested weights": ("blocks", lambda n: {"up": {f"block_{i}": [0] * n for i in range(9)}}),
    "open tags": ("tags", lambda n: "<instantstyle:" * n),
    "tags": ("tags", lambda n: "<instantstyle:a>" * n),
    "fields": ("tags", lambda n: "<instantstyle:a" + ":weight=1" * n + ">"),
    "brackets": ("JSON", lambda n: "[" * n + "]" * n),
    "open brackets": ("JSON", lambda n: "[" * n),
    "objects": ("JSON", lambda n: '{"a":' * n + "1" + "}" * n),
    "digits": ("JSON", lambda n: "9" * n),
    "accents": ("names", lambda n: "a" + "\u0315\u0300" * n),
    "spaces": ("names", lambda n: "a" + " " * n),
    "pictures": ("unit", lambda n: {"image": json.dumps(["x"] * n)}),
    "no pictures": ("unit", lambda n: {"image": [""] * n}),
    "open list": ("unit", lambda n: {"image": "[" * n}),
    "weight": ("unit", lambda n: {"weight": "1" * n}),
    "dots": ("LoRA", lambda n: ["unet." + "a." * min(n, limits.TENSOR_NAME // 2)] * n),
}  # fmt: skip


@pytest.mark.parametrize("case", list(INPUTS))
def test_twice_the_input_is_twice_the_work(case):
    reader, make = INPUTS[case]
    work(reader, make(10))  # what is made once
    few, twice, often = (work(reader, make(n)) for n in (500, 1000, 4000))
    assert twice <= 2.2 * few + 200
    assert often <= 8.8 * few + 200


# Matched where something begins and nowhere else, so that a search from everywhere is no measure.
ANCHORED = {"_PAIR", "_DATA_URL", "PREFIX", "_SELECTOR", "_RANGE", "_FACTOR", "OWN_KEY"}


def patterns():
    """Every compiled pattern of a module of ours, by module and name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "re.compile" not in path.read_text(encoding="utf-8"):
            continue
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:  # Gradio, or a WebUI
            assert error.name.split(".")[0] in ("gradio", "modules", "fastapi"), name
            source = re.findall(r"^(\w+) = (re\.compile\((?:.|\n)*?\))$", path.read_text(), re.M)
            assert not source or path.parent.name in ("page", "hosts"), path
            continue
        for key, value in vars(module).items():
            for each in held_by(value):
                yield pytest.param(key, each, id=f"{name}.{key} {each.pattern[:30]}")


def held_by(value):
    """The patterns in a value of a module: itself, or those of the objects in a table."""
    for each in value.values() if isinstance(value, dict) else [value]:
        fields = vars(each).values() if is_dataclass(each) else [each]
        yield from (found for found in fields if isinstance(found, re.Pattern))


def pieces(pattern):
    """What, repeated, may lead `pattern` astray: its own characters, and pairs of them."""
    own = [c for c in pattern.pattern if c not in "()[]?*+|^$\\"]
    known = list(dict.fromkeys([*own, *'aA0 _.:,"\\/>-\n']))[:24]
    yield from known
    yield from (a + b for a in known[:12] for b in known[:12] if a != b)
    yield from ('a: "', 'a:"\\"', "a, ", "data:a/a;", ";a", "<instantstyle:", "unet.", "a.1")


@pytest.mark.parametrize(("name", "pattern"), list(patterns()))
def test_a_pattern_tries_no_more_than_in_proportion(name, pattern):
    for piece in pieces(pattern):
        counts = []
        for length in (60, 240):
            given = (piece * length)[:length]
            steps = Steps(pattern, 200_000)
            try:
                for end in ("", "\0"):
                    (steps.match if name in ANCHORED else steps.search)(given + end)
            except TooManySteps:
                pytest.fail(f"{pattern.pattern} on {piece!r} tries more than {steps.count} times")
            counts.append(steps.count)
        assert counts[1] <= 4.4 * counts[0] + 100, (piece, counts)


@pytest.mark.parametrize(
    ("pattern", "piece"),
    [(r'\s*([a-z_]+):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)', "a"), (r"<a:([^>]+)>", "<a:")],
)
def test_the_count_tells_patterns_that_do(pattern, piece):
    def count(length):
        steps = Steps(re.compile(pattern), 10**6)
        try:
            steps.search((piece * length)[:length])
        except TooManySteps:
            return 10**6
        return steps.count

    assert count(120) > 10 * count(30)


def test_the_count_finds_what_python_finds():
    for pattern, given in (
        (r"(?i)<a:(.+)", "xx<A:bc"), (r"a{2,3}?b|c+d", "ccd"), (r"[^:,]*:\s*(\d+)$", "ab: 12"),
        (r"(?:a|ab)(?=c)c", "abc"), (r"\w+@\S", "ab@c"),
    ):  # fmt: skip
        for start in range(len(given)):
            found = re.compile(pattern).match(given, start)
            assert Steps(re.compile(pattern), 9999).match(given, start) == (found and found.end())


# -- budgets -------------------------------------------------------------------------------------


def test_a_line_of_infotext_is_read_once_for_all_fields(monkeypatch):
    calls = []
    parse = TABLE.parse_unit
    monkeypatch.setattr(TABLE, "parse_unit", lambda *a: calls.append(a) or parse(*a))
    given = {INFOTEXT_KEY.format(1): "weight: 0.5, start: 0.25, unheard: of"}
    units = [read(given, TABLE).unit for _ in range(45)]
    assert len(calls) == 3 and all(unit.weight == 0.5 and unit.start == 0.25 for unit in units)


def test_of_a_line_that_is_longer_than_any_nothing_is_read():
    line = "weight: 0.5, x: "
    longest = line + "y" * (limits.INFOTEXT_CHARACTERS - len(line))
    assert text_to_unit(longest, TABLE).unit.weight == 0.5
    assert text_to_unit(longest + "y", TABLE).unit.weight == 1.0


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("[" * 65 + "]" * 65, "its brackets lie more than 64 deep in one another"),
        ('{"a":' * 65 + "1" + "}" * 65, "64 deep"),
        ("[" * 10**5 + "]" * 10**5, "64 deep"),
        ("1" * 21, "a whole number in it has 21 digits, up to 20 are allowed"),
        ("[1, -" + "1" * 5000 + "]", "has 5001 digits"),
    ],
)
def test_json_beyond_its_budgets_is_a_sentence(given, problem):
    with pytest.raises(UnreadableJson, match=problem):
        read_json(given)
    with pytest.raises(UnreadableJson, match=problem):
        read_json(given.encode())


def test_json_within_its_budgets_is_as_it_is():
    for given in ("[" * 64 + "]" * 64, "1" * 20, '{"a": [1, 2.5e3, null, "[[["]}', f"-{2**63}"):
        assert read_json(given) == json.loads(given)


def test_no_name_of_a_tensor_is_long(tmp_path):
    longest = "a" * limits.TENSOR_NAME
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors({longest: entry()}))
    assert list(read_tensors(path)) == [longest]
    for data, sentence in (
        (safetensors({longest + "a": entry()}), "a name of more than 512 characters"),
        (archive_of(with_long_key(600)), "a name of more than 512 characters"),
    ):
        path.write_bytes(data)
        if data[:2] == b"PK":
            path = path.rename(tmp_path / "a.bin")
        with pytest.raises(InstantStyleError, match=sentence):
            read_tensors(path)


def test_layers_and_sides_of_encoders_are_bounded():
    from lib_instantstyle.files.tensor_info import TensorInfo, count_layers
    from lib_instantstyle.models.clip_kind import image_encoder_kind

    layer = re.compile(r"^l\.(\d{1,4})\.")

    def layers(n):
        return count_layers({f"l.{i}.w": TensorInfo("F32", (1,), 4) for i in range(n)}, layer)

    assert layers(limits.LAYERS) == limits.LAYERS and layers(limits.LAYERS + 1) == 0
    shapes = {
        "visual.class_embedding": (4,), "visual.conv1.weight": (4, 3, 14, 14),
        "visual.positional_embedding": (257, 4), "visual.proj": (4, 2),
        "visual.transformer.resblocks.0.mlp.c_fc.weight": (8, 4),
    }  # fmt: skip

    def kind(**changed):
        found = {**shapes, **changed}
        return image_encoder_kind({n: TensorInfo("F32", s, 0) for n, s in found.items()})

    assert kind().image_size == 224
    assert kind(**{"visual.conv1.weight": (4, 3, 1, 10**6)}) is None


def test_a_name_is_not_composed_before_its_length_was_looked_at(monkeypatch):
    from lib_instantstyle.styles import names

    lengths = []

    def normalize(form, given):
        lengths.append(len(given))
        return given

    monkeypatch.setattr(names, "unicodedata", types.SimpleNamespace(normalize=normalize))
    for given in ("a" + "\u0315\u0300" * 10**5, "a" * 10**6):
        with pytest.raises(InstantStyleError, match="is not allowed"):
            names.check_name(given)
        names.same_name(given)
    assert max(lengths) <= 1024


def test_no_budget_stands_anywhere_else():
    """A limit that a stranger meets is looked up in one place, with its reason."""
    found = [
        (path.name, line)
        for path in PACKAGE.rglob("*.py")
        if path.name != "limits.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"(MAX_|_?[A-Z_]+_LIMIT\b)[A-Z_]* = ", line)
    ]
    known = {  # of folders and memory of one's own
        "folder.py", "lora_files.py", "xyz_files.py", "trajectory_cache.py", "text_encoder.py",
    }  # fmt: skip
    assert {name for name, _ in found} <= known, found
