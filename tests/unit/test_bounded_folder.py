"""The bounded folder: what it deletes, what it never deletes, and two processes in it at once."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib_instantstyle.files.own_files import BoundedFolder

ROOT = Path(__file__).parents[2]


def digest(n):
    return hashlib.sha256(str(n).encode()).hexdigest()


def used_at(folder, n, when):
    os.utime(folder.path / f"{digest(n)}{folder.suffix}", (when, when))


def test_the_longest_unused_goes_first_and_reading_is_a_use(tmp_path):
    folder = BoundedFolder(tmp_path / "new" / "f", ".bin", 35)
    for n in range(3):
        folder.write(digest(n), bytes([n]) * 10)
        used_at(folder, n, 1000 + n)
    assert folder.read(digest(0)) == bytes(10)
    folder.write(digest(3), b"3" * 10)
    assert set(folder.digests()) == {digest(0), digest(2), digest(3)}
    assert folder.read(digest(1)) is None


def test_it_stays_below_its_capacity(tmp_path):
    folder = BoundedFolder(tmp_path, ".bin", 1000)
    for n in range(60):
        folder.write(digest(n), bytes(37))
        assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 1000
    assert len(folder.digests()) == 1000 // 37 and digest(59) in folder.digests()


def test_what_is_alone_too_large_is_not_written(tmp_path):
    folder = BoundedFolder(tmp_path, ".bin", 10)
    folder.write(digest(0), bytes(10))
    folder.write(digest(1), bytes(11))
    assert folder.digests() == [digest(0)]


def test_files_of_others_stay_and_do_not_count(tmp_path):
    folder = BoundedFolder(tmp_path, ".bin", 10)
    others = ["notes.txt", f"{digest(8)}.png", f"{digest(8).upper()}.bin", f"{digest(8)[:-1]}.bin"]
    for name in others:
        (tmp_path / name).write_bytes(bytes(100))
    (tmp_path / f"{digest(9)}.bin").symlink_to(tmp_path / "notes.txt")
    for n in range(3):
        folder.write(digest(n), bytes(10))
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {*others, f"{digest(9)}.bin", f"{digest(2)}.bin"}


def test_what_a_stopped_process_left_is_swept_after_an_hour(tmp_path):
    folder = BoundedFolder(tmp_path, ".bin", 100)
    old, young = (tmp_path / f".{c * 32}.tmp" for c in "ab")
    mine = tmp_path / ".mine.tmp"
    for path in (old, young, mine):
        path.write_bytes(b"x")
        os.utime(path, (1, 1))
    os.utime(young, (time.time() - 60,) * 2)
    folder.write(digest(0), b"x")
    assert not old.exists() and young.exists() and mine.exists()


def test_a_folder_that_cannot_be_written_raises_and_one_that_is_missing_is_empty(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    folder = BoundedFolder(tmp_path / "file" / "f", ".bin", 100)
    assert folder.read(digest(0)) is None and folder.digests() == []
    with pytest.raises(OSError, match="file"):
        folder.write(digest(0), b"x")


def test_two_processes_read_whole_files_or_none(tmp_path):
    """Both write and read 8 files of which 4 have room, for a second."""
    code = """
import hashlib, sys, time
from pathlib import Path
from lib_instantstyle.files.own_files import BoundedFolder
folder = BoundedFolder(Path(sys.argv[1]), ".bin", 4 * 20000)
end, n, seen = time.time() + 1, 0, 0
while time.time() < end:
    n += 1
    digest = hashlib.sha256(str(n % 8).encode()).hexdigest()
    folder.write(digest, bytes([n % 8]) * 20000)
    data = folder.read(digest)
    assert data is None or data == bytes([n % 8]) * 20000
    seen += data is not None
print(seen)
"""
    run = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    seen = [int(process.communicate(timeout=60)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0] and min(seen) > 0
    assert len(list(tmp_path.iterdir())) <= 5
