"""Folders in which something is renamed, exchanged or deleted at any moment of a listing."""

from __future__ import annotations

import itertools
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.folder import model_entries
from lib_instantstyle.files.tensors import open_tensors
from lib_instantstyle.methods import TABLE
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.models.lora_files import lora_files
from lib_instantstyle.styles.library import StyleLibrary
from tests.fuzz.files import STYLE
from tests.unit.odd_folders import DISTURBANCES, ODD, check_answer, check_refusals, make

_numbers = itertools.count()
CALLS = ("open", "scandir", "stat", "lstat", "readlink")
"""What a listing asks the system for; something may happen before each of them."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("disturbed")


@contextmanager
def at_calls(moments, act):
    """`act(number)` before each of those calls to the system, counted from 0."""
    count, busy = itertools.count(), False

    def wrapped(real):
        def call(*args, **kwargs):
            nonlocal busy
            if not busy and (number := next(count)) in moments:
                busy = True
                try:
                    act(number)
                finally:
                    busy = False
            return real(*args, **kwargs)

        return call

    with patch.multiple(os, **{name: wrapped(getattr(os, name)) for name in CALLS}):
        yield


def victims(folder):
    """All that lies in `folder` but what a user counts on."""
    return sorted(path for path in folder.rglob("*") if path.name != "sound.safetensors")


def strike(folder, where, how):
    """Something happens to one entry; what cannot be done to it is not done."""
    found = victims(folder)
    if not found:
        return
    path = found[where % len(found)]
    if how == "emptied" and not path.is_file():
        return  # to open a pipe for writing waits for a reader
    try:
        if how == "a folder there":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            path.mkdir()
        elif how == "a link to itself":
            path.unlink()
            path.symlink_to(path.name)
        elif how == "a folder less":
            shutil.rmtree(path.parent if path.parent != folder else path)
        else:
            DISTURBANCES[how][0](path)
    except OSError:
        pass


# What raises in place of an act is how a call ends, and tested for each call in tests/unit.
HOW = [how for how in DISTURBANCES if how not in ("permission denied", "a broken disk")]
HOW += ["a folder there", "a link to itself", "a folder less"]
entries = st.lists(st.sampled_from(["sound file", *sorted(ODD)]), min_size=1, max_size=5)
strikes = st.dictionaries(
    st.integers(0, 60), st.tuples(st.integers(0, 20), st.sampled_from(HOW)), max_size=8
)


def listings(folder):
    """Each list of `folder`, and whether it has the sound file."""
    catalog = scan([folder])
    yield catalog.refused, True  # a style is no adapter: that the list is made is what counts
    files = lora_files([folder])
    yield files.refused.items(), "sound" in files
    library = StyleLibrary(folder, TABLE)
    found = [*library._entries()]
    named = [each.name for each in found if not isinstance(each, tuple)]
    yield [each for each in found if isinstance(each, tuple)], "sound" in named
    yield [], any(entry.path.stem == "sound" for entry in model_entries(folder))


@given(entries, strikes)
def test_any_list_is_made_while_the_folder_changes(folders, kinds, struck):
    folder = folders / str(next(_numbers))
    folder.mkdir()
    (folder / "sound.safetensors").write_bytes(STYLE)
    for number, kind in enumerate(kinds):
        name = f"odd {number}.safetensors"
        if kind == "sound file":
            (folder / name).write_bytes(STYLE)
            continue
        try:
            make(kind, folder / str(number), f"odd {number}", ".safetensors", STYLE)
        except FileExistsError:  # two of a kind with a fixed name
            continue
    with at_calls(struck, lambda number: strike(folder, *struck[number])):
        made = [(list(refused), is_there) for refused, is_there in listings(folder)]
    for refused, is_there in made:
        assert is_there
        check_refusals(refused)
        check_answer(refused, folder)
    shutil.rmtree(folder)


@given(st.integers(0, 30), st.sampled_from(HOW), st.integers(0, 3))
def test_a_file_that_changes_while_its_tensors_are_read(folders, moment, how, reads):
    """What is read is what was there, or a refusal: never a mixture, never another error."""
    folder = folders / str(next(_numbers))
    folder.mkdir()
    path = folder / "odd.safetensors"
    path.write_bytes(STYLE)
    try:
        with at_calls({moment}, lambda _: strike(folder, 0, how)), open_tensors(path) as read:
            for _ in range(reads):
                assert read("image_vectors").shape == (2, 3)
                assert not read("hidden_states").any()
    except InstantStyleError as error:
        assert str(error).startswith("odd.safetensors ") and str(error).endswith(".")
        check_answer(str(error), folder)
    shutil.rmtree(folder)


def test_a_strike_reaches_the_listing(folders):
    """The moments are met: at the first call the file is still there, and then not listed."""
    folder = Path(folders, "reached")
    folder.mkdir()
    (folder / "odd.safetensors").write_bytes(STYLE)
    with at_calls({0}, lambda _: strike(folder, 0, "deleted")):
        assert model_entries(folder) == []
    assert not victims(folder)
