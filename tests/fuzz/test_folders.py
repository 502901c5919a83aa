"""Folders of odd entries, any number under any names: every list is made, and can be sent."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.errors import InstantStyleError, printable, reason
from lib_instantstyle.files.folder import SUFFIXES, comparable, model_entries, shown_name
from lib_instantstyle.methods import TABLE
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.models.lora_files import find_lora, lora_files
from lib_instantstyle.styles.header import METADATA_KEY, StyleInfo, check_settings, read_info
from lib_instantstyle.styles.library import StyleLibrary
from tests.fuzz.files import INFO, METADATA, STYLE, style_file
from tests.fuzz.requests import json_values
from tests.unit.odd_folders import ODD, check_answer, check_refusals, make

_numbers = itertools.count()
raw_names = st.binary(min_size=1, max_size=40).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
text_names = st.text(min_size=1, max_size=20).map(lambda name: name.encode("utf-8", "ignore"))
names = (raw_names | text_names.filter(bool)).filter(lambda n: not {*n} & {0, 47})
endings = st.sampled_from([*SUFFIXES, ".safetensors", ".txt", ""])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("folders")


def check_lists(folder):
    """All lists of `folder`; no name in them is that of two things."""
    catalog = scan([folder, folder])
    files = lora_files([folder, folder])
    library = StyleLibrary(folder, TABLE)
    styles = [each.name for each in library.styles()]
    check_refusals([*catalog.refused, *files.refused.items(), *library.refused()])
    answer = [catalog.refused, [*files], files.refused, styles, library.refused()]
    check_answer(answer, folder)
    for name in files:
        assert comparable(find_lora(name, files)) == comparable(name)
    for name in (*files.refused, *dict(library.refused())):
        for find in (library.find, catalog.adapter):
            try:
                find(name)
            except InstantStyleError as error:
                check_answer(str(error), folder)
    for name in styles:
        assert library.find(name).name
    return files


@given(st.lists(st.tuples(st.sampled_from(sorted(ODD)), st.integers(0, 2)), max_size=8))
def test_any_odd_entries_together(folders, kinds):
    folder = folders / str(next(_numbers))
    folder.mkdir()
    (folder / "sound.safetensors").write_bytes(STYLE)
    for number, (kind, depth) in enumerate(kinds):
        parts = [str(number)] * depth
        try:
            make(kind, folder.joinpath(*parts), f"odd {number}", ".safetensors", STYLE)
        except FileExistsError:  # two of a kind with a fixed name
            continue
    assert "sound" in check_lists(folder)
    assert StyleLibrary(folder, TABLE).find("sound")
    shutil.rmtree(folder)


@given(st.lists(st.tuples(names, endings), max_size=6))
def test_any_names(folders, named):
    folder = folders / str(next(_numbers))
    folder.mkdir()
    for name, ending in named:
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name + ending.encode()))
        path.write_bytes(STYLE)
    files = check_lists(folder)
    models = {entry.path for entry in model_entries(folder)}
    assert {*files.values()} == models
    shutil.rmtree(folder)


@given(st.binary(max_size=40).map(lambda b: b.decode("utf-8", "surrogateescape")) | st.text())
def test_any_name_can_be_shown_and_compared(name):
    shown = shown_name(name)
    check_answer([shown, printable(name), str(InstantStyleError(name))], "/nowhere/at/all")
    assert shown_name(shown) == shown and comparable(shown) == comparable(name)


@given(st.lists(st.text(st.characters(exclude_characters="/\0'\"\\"), min_size=1), min_size=2))
def test_no_reason_holds_an_absolute_path_in_quotes(parts):
    path = "/" + "/".join(parts)
    for error in (
        FileNotFoundError(2, "No such file or directory", path),
        RuntimeError(f"Symlink loop from {path!r}"),
        ValueError(f'cannot open "{path}" nor "{path}"'),
    ):
        said = reason(error)
        assert f"/{parts[0]}/" not in said or len(parts) < 2
        said.encode()


@given(st.dictionaries(st.sampled_from([*TABLE.page_fields, "x"]), json_values, max_size=3))
def test_any_settings_are_a_unit_s_or_refused(settings):
    info = StyleInfo(**{**INFO.__dict__, "settings": settings})
    try:
        check_settings(info, TABLE, "a.safetensors")
    except InstantStyleError as error:
        check_answer(str(error), "/nowhere")
        return
    json.dumps(dict(info.settings), allow_nan=False, ensure_ascii=False).encode()


@given(st.text())
def test_any_description_of_a_style(folders, text):
    path = folders / "a.safetensors"
    path.write_bytes(style_file({**METADATA, METADATA_KEY: text}, {}))
    try:
        read_info(path)
    except InstantStyleError as error:
        check_answer(str(error), folders)
