"""The library of styles: found by their names and by nothing else."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from threading import Barrier

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.model_file import read_header
from lib_instantstyle.files.own_files import TEMPORARY, create_file
from lib_instantstyle.methods import TABLE
from lib_instantstyle.session import SESSION
from lib_instantstyle.styles.file import read_style, write_style
from lib_instantstyle.styles.header import METADATA_KEY
from lib_instantstyle.styles.library import SavedStyle, StyleLibrary
from tests.unit.odd_folders import check_answer
from tests.unit.styles import INFO, style


@pytest.fixture
def library(tmp_path):
    library = StyleLibrary(tmp_path / "styles", TABLE)
    for name in ("Sunset", "ink", "été"):
        write_style(library.path_of(library.free_name(name)), style())
    return library


def names(library):
    return [saved.name for saved in library.styles()]


def test_a_missing_folder_is_an_empty_library(tmp_path):
    library = StyleLibrary(tmp_path / "none", TABLE)
    assert library.styles() == [] and library.refused() == []
    with pytest.raises(InstantStyleError, match=r"^style 'x' .* \(none is saved\)\.$"):
        library.find("x")
    assert not library.folder.exists()


def test_styles_are_listed_by_name_with_what_they_say(library):
    assert names(library) == ["été", "ink", "Sunset"] or names(library) == ["ink", "Sunset", "été"]
    assert all(saved.info == INFO for saved in library.styles())


def test_names_are_found_in_any_case_and_composition(library):
    for name in ("sunset", "SUNSET", "Sunset"):
        assert library.find(name).name == "Sunset"
    assert library.find("e\u0301te\u0301").name == "été"


@pytest.mark.parametrize("name", ["../ink", "styles/ink", "ink.safetensors", "/etc/passwd", "i*"])
def test_paths_and_patterns_are_no_names(library, name):
    for act in (library.find, library.delete, lambda name: library.rename(name, "x")):
        with pytest.raises(InstantStyleError, match=r"is not among the saved styles \(.*ink"):
            act(name)
    assert len(library.styles()) == 3


@given(st.text(max_size=20))
def test_no_name_finds_anything_but_the_files_listed(tmp_path_factory, name):
    library = StyleLibrary(tmp_path_factory.getbasetemp() / "a single style", TABLE)
    if not library.styles():
        write_style(library.path_of("a"), style())
    try:
        found = library.find(name)
    except InstantStyleError as error:
        assert len(str(error)) < 300
    else:
        assert found.path == library.path_of("a") and name.strip() in ("a", "A")


def test_a_file_that_is_no_style_is_neither_listed_nor_deleted(library):
    other = library.folder / "lora.safetensors"
    save_file({"x": torch.zeros(3)}, other)
    assert "lora" not in names(library) and library.refused() == []
    with pytest.raises(InstantStyleError, match="is not among"):
        library.delete("lora")
    assert other.exists()
    with pytest.raises(InstantStyleError, match="a style named 'lora' is there already"):
        library.free_name("LORA")


def test_damaged_and_oddly_named_styles_are_refused_by_their_own_sentence(library):
    damaged = library.folder / "damaged.safetensors"
    damaged.write_bytes(library.find("ink").path.read_bytes()[:-5])
    library.find("ink").path.rename(library.folder / "a=b.safetensors")
    assert dict(library.refused()).keys() == {"damaged", "a=b"}
    with pytest.raises(InstantStyleError, match="ends before its tensors do"):
        library.find("Damaged")
    with pytest.raises(InstantStyleError, match="the name 'a=b' is not allowed"):
        library.find("a=b")
    with pytest.raises(InstantStyleError, match="ends before"):
        library.delete("damaged")
    assert damaged.exists()


def test_renaming_keeps_the_content_and_takes_no_other_style_s_place(library):
    before = library.find("ink").path.read_bytes()
    assert library.rename("INK", " black ink ").name == "black ink"
    assert library.find("black ink").path.read_bytes() == before
    for taken in ("sunset", "ÉTÉ"):
        with pytest.raises(InstantStyleError, match="is there already"):
            library.rename("black ink", taken)
    with pytest.raises(InstantStyleError, match="is not allowed"):
        library.rename("black ink", "../black")
    assert library.rename("black ink", "Black Ink").name == "Black Ink"
    assert len(library.styles()) == 3


def test_deleting_removes_one_file(library):
    library.delete("SUNSET")
    assert "Sunset" not in names(library) and len(library.styles()) == 2


def test_a_style_taken_in_is_the_same_file(library):
    data = library.find("ink").path.read_bytes()
    taken = library.take_in(data, "from a friend")
    assert taken.path.read_bytes() == data and read_style(taken.path).info == INFO
    with pytest.raises(InstantStyleError, match="is there already"):
        library.take_in(data, "From a friend")


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"\x80\x04cos\nsystem\n"])
def test_what_is_no_style_is_not_taken_in(library, tmp_path, data):
    before = sorted(library.folder.iterdir())
    with pytest.raises(InstantStyleError, match="new"):
        library.take_in(data, "new")
    save_file({"x": torch.zeros(3)}, tmp_path / "lora.safetensors")
    with pytest.raises(InstantStyleError, match="new is no saved style"):
        library.take_in((tmp_path / "lora.safetensors").read_bytes(), "new")
    with pytest.raises(InstantStyleError, match="new has more than 67,108,864 bytes"):
        library.take_in(bytes(64 * 2**20 + 1), "new")
    assert sorted(library.folder.iterdir()) == before


def test_a_style_of_one_picture_is_found_by_the_start_of_its_hash(library):
    assert library.made_from("aaaa") is None  # of two pictures
    one = replace(INFO, references=("c" * 64,), weights=(1.0,))
    write_style(library.path_of("one"), style(one))
    assert library.made_from("c" * 12).name == "one"
    assert library.made_from("cd") is None and library.made_from("") is None


def test_a_changed_file_is_read_again(library):
    write_style(library.find("ink").path, style(replace(INFO, encoder="another one")))
    assert library.find("ink").info.encoder == "another one"


def test_a_folder_that_cannot_be_written_to_is_a_sentence(library, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    data = library.find("ink").path.read_bytes()
    for name in ("os.link", "pathlib.Path.rename", "pathlib.Path.replace"):
        monkeypatch.setattr(name, refuse)
    before = sorted(library.folder.iterdir())
    with pytest.raises(InstantStyleError, match=r"'ink' cannot be renamed \(Permission denied\)"):
        library.rename("ink", "x")
    assert sorted(library.folder.iterdir()) == before
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(InstantStyleError, match=r"'ink' cannot be deleted \(Permission denied\)"):
        library.delete("ink")
    monkeypatch.undo()
    monkeypatch.setattr("lib_instantstyle.styles.library.create_file", refuse)
    with pytest.raises(InstantStyleError, match=r"'x' cannot be added \(Permission denied\)"):
        library.take_in(data, "x")


@pytest.fixture(params=["links", "no links"])
def file_system(request, monkeypatch):
    """With links, and as FAT, which has none."""
    if request.param == "no links":
        monkeypatch.setattr("os.link", refused_link)


def refused_link(*arguments):
    raise PermissionError(1, "Operation not permitted")


def at_once(acts):
    """What each of them gave, or the sentence it was refused with, begun at one moment."""
    barrier = Barrier(len(acts))

    def begun(act):
        barrier.wait()
        try:
            return act().name
        except InstantStyleError as error:
            return str(error)

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(begun, acts))


@pytest.mark.parametrize("in_one_process", [True, False])
def test_of_saves_at_once_under_one_name_none_is_lost(
    library, monkeypatch, file_system, in_one_process
):
    if not in_one_process:  # two WebUIs on one folder do not share a lock
        monkeypatch.setattr("lib_instantstyle.styles.library._NAMING", nullcontext())
    datas = [
        save({"hidden_states": torch.full((1, 2, 3), float(i)), "x": torch.zeros(i)})
        for i in range(1, 9)
    ]
    acts = [lambda d=d: library.add("new", lambda p: create_file(p, d), "saved") for d in datas]
    monkeypatch.setattr(library, "find", lambda name: SavedStyle(name, library.path_of(name), INFO))
    said = at_once(acts)
    assert said.count("new") == 1
    assert all("a style named 'new' is there already" in x for x in said if x != "new")
    assert library.path_of("new").read_bytes() == datas[said.index("new")]
    assert not [p for p in library.folder.iterdir() if p.suffix == TEMPORARY]


def test_of_renames_at_once_to_one_name_one_is_done(library, file_system):
    kept = {name: library.find(name).path.read_bytes() for name in names(library)}
    said = at_once([lambda name=name: library.rename(name, "new") for name in kept])
    assert said.count("new") == 1
    assert all("is there already" in sentence for sentence in said if sentence != "new")
    renamed = list(kept)[said.index("new")]
    assert sorted(names(library)) == sorted({*kept, "new"} - {renamed})
    assert library.path_of("new").read_bytes() == kept[renamed]


def test_a_name_taken_after_the_look_is_not_overwritten(library, file_system, monkeypatch):
    """By another process: the look said it was free."""
    monkeypatch.setattr(StyleLibrary, "free_name", lambda self, name, instead_of=None: name)
    data = library.find("ink").path.read_bytes()
    library.path_of("mine").write_bytes(b"of another process")
    for act in (lambda: library.take_in(data, "mine"), lambda: library.rename("ink", "mine")):
        with pytest.raises(InstantStyleError, match="a style named 'mine' is there already"):
            act()
    assert library.path_of("mine").read_bytes() == b"of another process"
    assert library.find("ink").path.read_bytes() == data


def test_what_a_stopped_process_left_goes_with_the_next_style(library):
    SESSION.clear()
    old, young, other = (
        library.folder / name for name in (f".{'a' * 32}.tmp", f".{'b' * 32}.tmp", ".mine.tmp")
    )
    for path in (old, young, other):
        path.write_bytes(b"half a style")
        os.utime(path, (1, 1))
    os.utime(young)
    library.take_in(library.find("ink").path.read_bytes(), "new")
    assert not old.exists() and young.exists() and other.exists()


def test_what_was_too_young_goes_an_hour_later_and_listing_is_enough(library, monkeypatch):
    """A WebUI that was killed a moment ago is started again, and nothing is saved any more."""
    from lib_instantstyle.files import own_files

    SESSION.clear()
    left = library.folder / f".{'a' * 32}.tmp"
    left.write_bytes(b"half a style")
    assert names(library) and left.exists()
    hour = own_files._ABANDONED + 1
    monotonic, now = own_files.time.monotonic(), own_files.time.time()
    monkeypatch.setattr(own_files.time, "monotonic", lambda: monotonic + hour)
    monkeypatch.setattr(own_files.time, "time", lambda: now + hour)
    assert names(library) and not left.exists()


DEEP = 900


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "settings",
    [
        '{"preset": "\\ud800"}',
        '{"content": "a cat \\ud800"}',
        '{"adapter": "\\udc83"}',
        '{"lora": "\\udfff\\ud800"}',
        json.dumps({"blocks": nested(DEEP)}),
        json.dumps({"weight": nested(DEEP)}),
        "[" * 100_000 + "]" * 100_000,
        '{"weight": 1' + "0" * 4000 + "}",
        '{"seed": 1' + "0" * 5000 + "}",
        '{"weight": NaN}',
        '{"start": -Infinity}',
        '{"weight": 1e999}',
        '{"blocks": {"x": NaN}}',
        '{"blocks": {"\\ud800": 1}}',
        '{"\\ud800": 1}',
        '{"image": "/etc/passwd"}',
        '{"weight": {"weight": 1}}',
        '{"crop": "centre"}',
        '"weight"',
        "null",
    ],
    ids=lambda text: text[:30],
)
def test_settings_that_no_unit_can_have_refuse_their_own_file_alone(library, settings):
    """The list goes to a page and into JSON, all styles in one answer."""
    sound = library.find("ink").path
    header = read_header(sound)
    content = json.loads(header.metadata[METADATA_KEY])
    content["settings"] = "HERE"
    text = json.dumps(content).replace('"HERE"', settings)
    tensors = {name: tensor.clone() for name, tensor in load_file(sound).items()}
    data = save(tensors, {**header.metadata, METADATA_KEY: text})
    with pytest.raises(InstantStyleError, match="no sound style"):
        library.take_in(data, "imported")
    (library.folder / "odd.safetensors").write_bytes(data)  # put there by hand
    assert len(library.styles()) == 3
    ((name, sentence),) = library.refused()
    assert name == "odd" and len(sentence) < 250
    check_answer(
        [name, sentence, [dict(each.info.settings) for each in library.styles()]], library.folder
    )
    with pytest.raises(InstantStyleError, match="no sound style"):
        library.find("odd")


def test_a_style_is_read_back_whatever_its_encoder_is_called(library):
    for encoder in ("水彩　bigG", "a\u00a0b", "👩‍🎨"):
        write_style(library.path_of("named"), style(replace(INFO, encoder=encoder)))
        assert library.find("named").info.encoder == encoder
        library.delete("named")
