"""The store of reference pictures: what goes in comes out, whole, by the start of its hash."""

import hashlib
import os

from lib_instantstyle.files.own_files import BoundedFolder
from lib_instantstyle.references.store import ReferenceStore


def store_in(folder, capacity):
    return ReferenceStore(BoundedFolder(folder, ".picture", capacity))


def start(data, length=12):
    return hashlib.sha256(data).hexdigest()[:length]


def test_a_picture_comes_back_as_it_came_by_the_start_of_its_hash(tmp_path):
    store = store_in(tmp_path / "references", 1000)
    for data in (b"first", b"second"):
        assert store.put(data) is None
    assert store.get(start(b"first")) == b"first"
    assert store.get(start(b"second", 64)) == b"second"
    assert store.get(start(b"third")) is None


def test_a_start_that_is_too_short_or_no_hash_finds_nothing(tmp_path):
    store = store_in(tmp_path, 1000)
    store.put(b"first")
    (tmp_path / "secret").write_bytes(b"secret")
    for digest in ("", start(b"first", 11), "../secret", "../../etc/passwd", "*" * 12):
        assert store.get(digest) is None


def test_a_damaged_picture_is_removed_and_not_returned(tmp_path):
    store = store_in(tmp_path, 1000)
    store.put(b"first")
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"other")
    assert store.get(start(b"first")) is None and not path.exists()


def test_a_damaged_picture_is_mended_when_it_comes_again(tmp_path):
    store = store_in(tmp_path, 1000)
    store.put(b"first")
    (path,) = tmp_path.iterdir()
    for damage in (b"other", b"fir", b""):
        path.write_bytes(damage)
        assert store.put(b"first") is None
        assert store.get(start(b"first")) == b"first"


def test_a_picture_that_comes_again_is_not_the_longest_unused(tmp_path):
    store = store_in(tmp_path, 25)
    for number, letter in enumerate((b"a", b"b")):
        store.put(letter * 10)
        os.utime(tmp_path / f"{start(letter * 10, 64)}.picture", (number, number))
    store.put(b"a" * 10)
    store.put(b"c" * 10)
    assert store.get(start(b"a" * 10)) and store.get(start(b"b" * 10)) is None


def test_the_longest_unused_makes_room(tmp_path):
    store = store_in(tmp_path, 25)
    for letter in (b"a", b"b", b"c"):
        store.put(letter * 10)
    assert store.get(start(b"c" * 10)) and len(list(tmp_path.iterdir())) == 2


def test_no_room_at_all_keeps_nothing_and_a_bad_folder_is_a_sentence(tmp_path):
    assert store_in(tmp_path / "off", 0).put(b"x") is None
    assert not (tmp_path / "off").exists()
    (tmp_path / "file").write_bytes(b"")
    sentence = store_in(tmp_path / "file", 100).put(b"x")
    assert sentence.startswith("references cannot be kept in ") and sentence.count("/") == 2
    assert f"{tmp_path.name}/file (" in sentence and str(tmp_path) not in sentence
