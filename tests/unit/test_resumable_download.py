"""Downloads against a server that breaks off, lies, or is not what it should be."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.models import part_file, resumable_download
from lib_instantstyle.models import published as published_files
from lib_instantstyle.models.published import HUB, PUBLISHED_FILES, address
from lib_instantstyle.models.resumable_download import DownloadProgress, download
from tests.unit.publisher import CONTENT, Gate, published, publisher
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
NAME, PART = "model.safetensors", "model.safetensors.part"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(resumable_download, "PAUSE", 0)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models" / "InstantStyle"


def fetch(file, folder, progress=None):
    return download(file, folder, progress or DownloadProgress())


def refused(file, folder, progress=None, reserved_bytes=0):
    with pytest.raises(InstantStyleError) as caught:
        download(file, folder, progress or DownloadProgress(), reserved_bytes)
    sentence = str(caught.value)
    assert file.name in sentence and sentence.endswith(".") and "\n" not in sentence
    return sentence


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def leave_part(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PART).write_bytes(content)


def test_a_file_arrives_whole_and_alone(folder):
    progress = DownloadProgress()
    with publisher() as site:
        path = fetch(published(site), folder, progress)
        assert site.asked == [None]
    assert path == folder / NAME and path.read_bytes() == CONTENT
    assert names(folder) == [NAME] and progress.received == len(CONTENT)


def test_a_redirect_to_where_the_file_lies_is_followed(folder):
    with publisher(redirects=True, breaks=[1_000_000]) as site:
        assert fetch(published(site), folder).read_bytes() == CONTENT
        assert "bytes=1000000-" in site.asked[-1]


def test_what_is_broken_off_goes_on_where_it_was(folder):
    with publisher(breaks=[1_000_000, 700_000, 1]) as site:
        assert fetch(published(site), folder).read_bytes() == CONTENT
        assert site.asked == [None, "bytes=1000000-", "bytes=1700000-", "bytes=1700001-"]
    assert names(folder) == [NAME]


def test_the_next_click_goes_on_where_the_last_one_ended(folder):
    with publisher(breaks=[400_000, *[0] * 10]) as site:
        sentence = refused(published(site), folder)
    assert "broken off after 400,000 of 3,000,000 bytes" in sentence
    assert names(folder) == [PART]
    progress = DownloadProgress()
    with publisher() as site:
        assert fetch(published(site), folder, progress).read_bytes() == CONTENT
        assert site.asked == ["bytes=400000-"] and site.sent == len(CONTENT) - 400_000
    assert progress.received == len(CONTENT)


def test_a_server_without_parts_sends_all_of_it_again(folder):
    leave_part(folder, CONTENT[:500_000])
    with publisher(knows_parts=False) as site:
        assert fetch(published(site), folder).read_bytes() == CONTENT
        assert site.asked == ["bytes=500000-"] and site.sent == len(CONTENT)


def test_a_server_that_says_no_length_is_believed_up_to_the_size(folder):
    with publisher(says_length=False) as site:
        assert fetch(published(site), folder).read_bytes() == CONTENT
    with publisher(CONTENT + b"x", says_length=False) as site:
        sentence = refused(published(site, name="longer.safetensors"), folder)
    assert "the server sends more" in sentence
    assert (folder / "longer.safetensors.part").stat().st_size == 0


def test_a_length_that_promises_more_than_comes_is_a_file_broken_off(folder):
    with publisher(CONTENT[:2_000_000], lie=1_000_000, knows_parts=False) as site:
        sentence = refused(published(site), folder)
        assert len(site.asked) > 1
    assert "broken off after 2,000,000 of 3,000,000 bytes" in sentence


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"lie": 1}, "the server has '3000001'"),
        ({"lie": -1}, "the server has '2999999'"),
        ({"content": CONTENT[:-9]}, "the server has '2999991'"),
        ({"kind": "text/html; charset=utf-8"}, "the server sends a page"),
    ],
)
def test_another_file_is_refused_before_it_arrives(folder, behaviour, said):
    with publisher(**behaviour) as site:
        assert said in refused(published(site), folder)
    assert (folder / PART).stat().st_size == 0


@pytest.mark.parametrize("behaviour", [{"shift": 1}, {"content": CONTENT + b"x"}])
def test_another_part_is_refused_and_what_was_there_is_kept(folder, behaviour):
    leave_part(folder, CONTENT[:500_000])
    with publisher(**behaviour) as site:
        assert "the server sends another part" in refused(published(site), folder)
    assert (folder / PART).read_bytes() == CONTENT[:500_000]


def test_a_wrong_hash_is_a_sentence_with_both_and_leaves_nothing(folder):
    with publisher() as site:
        file = replace(published(site), sha256="0" * 64)
        sentence = refused(file, folder)
    assert published(site).sha256 in sentence and file.sha256 in sentence
    assert names(folder) == []


def test_a_damaged_part_is_found_out_by_the_hash_and_the_next_try_is_sound(folder):
    leave_part(folder, b"\0" * 500_000)
    with publisher() as site:
        assert "SHA-256" in refused(published(site), folder)
        assert names(folder) == []
        assert fetch(published(site), folder).read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_begun_anew(folder):
    leave_part(folder, CONTENT + b"more")
    with publisher() as site:
        assert fetch(published(site), folder).read_bytes() == CONTENT
        assert site.asked == [None]


def test_a_part_that_is_whole_needs_no_server(folder):
    leave_part(folder, CONTENT)
    with publisher() as site:
        file = published(site)
    assert fetch(file, folder).read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, 4), (429, 4)])
def test_an_error_of_the_server_is_named(folder, status, tries):
    with publisher(status=status) as site:
        assert f"the server answers {status}" in refused(published(site), folder)
        assert len(site.asked) == tries


def test_a_server_that_is_not_there_is_a_sentence(folder):
    with publisher() as site:
        file = published(site)
    assert "was broken off after 0 of 3,000,000 bytes" in refused(file, folder)


def test_a_host_that_is_not_found_is_named(folder, monkeypatch):
    def lost(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lost)
    with publisher() as site:
        file = replace(published(site), url="http://files.invalid/adapter")
    said = refused(file, folder)
    assert "files.invalid is not found (Name or service not known)" in said and "Errno" not in said


def test_a_server_that_falls_silent_is_not_waited_for(folder, monkeypatch):
    monkeypatch.setattr(resumable_download, "SECONDS", 0.2)
    with publisher(gate=Gate()) as site:
        assert "timed out" in refused(published(site), folder)
        wait_for(lambda: len(site.asked) == resumable_download.FRUITLESS)


# -- who asked changes their mind ----------------------------------------------------------------


def test_a_download_that_is_stopped_keeps_what_has_arrived(folder):
    progress = DownloadProgress()

    class Stopped(type(progress.stop)):
        def is_set(self):
            return progress.received >= 1_000_000

    progress.stop = Stopped()
    with publisher() as site:
        assert "was stopped; what has arrived is kept" in refused(published(site), folder, progress)
        kept = (folder / PART).stat().st_size
        assert 1_000_000 <= kept < len(CONTENT)
        assert fetch(published(site), folder).read_bytes() == CONTENT
        assert site.asked[-1] == f"bytes={kept}-"


def test_two_downloads_of_one_file_do_not_mix(folder):
    gate, ended = Gate(), []
    with publisher(gate=gate, breaks=[]) as site:
        file = published(site)
        first = threading.Thread(target=lambda: ended.append(fetch(file, folder)))
        first.start()
        wait_for(lambda: site.asked)
        assert "is being downloaded already" in refused(file, folder)
        gate.open()
        first.join()
        assert len(site.asked) == 1
    assert ended == [folder / NAME] and ended[0].read_bytes() == CONTENT


CHILD = """
import sys
from pathlib import Path
from lib_instantstyle.models.published import PublishedFile
from lib_instantstyle.models.resumable_download import DownloadProgress, download
url, folder, size, digest = sys.argv[1:]
file = PublishedFile("model.safetensors", "", url, int(size), digest, "")
print(download(file, Path(folder), DownloadProgress()))
"""


def test_another_process_waits_its_turn_and_goes_on_after_a_crash(folder):
    gate = Gate()
    with publisher(gate=gate, piece=500_000) as site:
        file = published(site)
        run = [sys.executable, "-c", CHILD, file.url, str(folder), str(file.size), file.sha256]
        child = subprocess.Popen(run, cwd=ROOT, env={**os.environ, "no_proxy": "127.0.0.1"})
        try:
            gate.let(1)  # of six pieces
            wait_for(lambda: (folder / PART).exists() and (folder / PART).stat().st_size)
            assert "perhaps by another WebUI" in refused(file, folder)
        finally:
            child.kill()
            child.wait()
        arrived = (folder / PART).stat().st_size
        gate.open()
        assert 0 < arrived < len(CONTENT)
        assert fetch(file, folder).read_bytes() == CONTENT
        assert site.asked[-1] == f"bytes={arrived}-"


# -- the user's files and disk -------------------------------------------------------------------


def test_a_file_that_is_there_is_never_replaced(folder):
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(b"mine")
    with publisher() as site:
        assert "is there already, and is not replaced" in refused(published(site), folder)
        assert site.asked == []
    assert (folder / NAME).read_bytes() == b"mine" and names(folder) == [NAME]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_not_replaced_either(folder, monkeypatch, links):
    take_up = part_file.PartFile.take_up

    def appear(self, see):
        (folder / NAME).write_bytes(b"mine")
        take_up(self, see)

    monkeypatch.setattr(part_file.PartFile, "take_up", appear)
    if not links:
        monkeypatch.setattr(part_file.Path, "hardlink_to", fails(errno.EPERM))
    with publisher() as site:
        assert "is there already, and is not replaced" in refused(published(site), folder)
    assert (folder / NAME).read_bytes() == b"mine" and names(folder) == [NAME]


def fails(number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_system_without_second_names(folder, monkeypatch):
    monkeypatch.setattr(part_file.Path, "hardlink_to", fails(errno.EPERM))
    with publisher() as site:
        assert fetch(published(site), folder).read_bytes() == CONTENT
    assert names(folder) == [NAME]


def test_a_file_system_without_locks(folder, monkeypatch):
    from lib_instantstyle.files import lock

    monkeypatch.setattr(lock.fcntl, "flock", fails(errno.ENOTSUP))
    with publisher() as site:
        assert fetch(published(site), folder).read_bytes() == CONTENT


def free(monkeypatch, count):
    usage = resumable_download.shutil.disk_usage(ROOT)._replace(free=count)
    monkeypatch.setattr(resumable_download.shutil, "disk_usage", lambda folder: usage)


def test_no_byte_is_asked_for_where_there_is_no_room(folder, monkeypatch):
    leave_part(folder, CONTENT[:1_000_000])
    with publisher() as site:
        free(monkeypatch, 1_999_999)
        sentence = refused(published(site), folder)
        assert "needs 2,000,000 bytes more and 1,999,999 are free" in sentence
        free(monkeypatch, 2_500_000)
        sentence = refused(published(site), folder, reserved_bytes=500_001)
        assert "and 1,999,999 are free" in sentence and site.asked == []
        free(monkeypatch, 2_000_000)
        assert fetch(published(site), folder).read_bytes() == CONTENT


def test_a_disk_that_fills_meanwhile_keeps_what_has_arrived(folder, monkeypatch):
    add = part_file.PartFile.add

    def fill(self, piece):
        if self.size > 1_000_000:
            self._stream = Full(self._stream)
        add(self, piece)

    with publisher() as site:
        with monkeypatch.context() as patch:
            patch.setattr(part_file.PartFile, "add", fill)
            sentence = refused(published(site), folder)
        assert "cannot be written" in sentence and os.strerror(errno.ENOSPC) in sentence
        kept = (folder / PART).stat().st_size
        assert kept > 1_000_000
        assert fetch(published(site), folder).read_bytes() == CONTENT
        assert site.asked[-1] == f"bytes={kept}-"


class Full:
    """A file on a disk that has just become full."""

    def __init__(self, stream):
        self._stream = stream
        self.write = fails(errno.ENOSPC)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with publisher() as site:
        assert "cannot be written into" in refused(published(site), tmp_path / "file" / "models")


# -- the list ------------------------------------------------------------------------------------


def test_the_list_tells_files_apart_by_size_and_by_name():
    assert len({file.size for file in PUBLISHED_FILES}) == len(PUBLISHED_FILES) == 8
    assert (
        len({file.name for file in PUBLISHED_FILES})
        == len({f.sha256 for f in PUBLISHED_FILES})
        == 8
    )
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in PUBLISHED_FILES)
    assert all(
        file.url.startswith(f"{HUB}/") and "/main/" not in file.url for file in PUBLISHED_FILES
    )


@pytest.mark.parametrize(
    ("name", "parameters", "bytes_each"),
    [  # IP-Adapter's own shapes, and CLIP's as its configurations give them
        ("ip-adapter_sdxl.safetensors", 351_285_248, 2),
        ("ip-adapter_sdxl_vit-h.safetensors", 349_188_096, 2),
        ("ip-adapter-plus_sdxl_vit-h.safetensors", 423_748_864, 2),
        ("ip-adapter_sd15.safetensors", 22_319_616, 2),
        ("ip-adapter-plus_sd15.safetensors", 49_087_488, 2),
        ("CLIP-ViT-bigG-14-laion2B-39B-b160k.safetensors", 1_844_907_264, 2),
        ("CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors", 632_076_800, 4),
        ("open_clip-ViT-H-14-laion2B-s32B-b79K.safetensors", 986_109_441, 4),
    ],
)
def test_a_listed_size_is_that_of_the_parameters_and_a_header(name, parameters, bytes_each):
    (file,) = [file for file in PUBLISHED_FILES if file.name == name]
    assert 0 < file.size - parameters * bytes_each < 200_000


def test_a_mirror_takes_the_place_of_the_hub(monkeypatch):
    file = PUBLISHED_FILES[0]
    assert address(file) == file.url
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/ ")
    assert address(file) == file.url.replace(published_files.HUB, "https://mirror.example")
