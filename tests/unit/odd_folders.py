"""What a user's folder may hold beside sound files: links, pipes, odd names, other tools' leavings.

Each entry is made in a folder from the bytes of a sound file. What a list makes of it is one of
three things: it is LISTED under some name, REFUSED with a sentence, or PASSED over.
"""

from __future__ import annotations

import json
import os
import stat
import unicodedata
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LISTED, REFUSED, PASSED = "listed", "refused", "passed over"


@dataclass(frozen=True)
class Odd:
    """One entry. make: given the folder, a stem with its ending, and the sound bytes."""

    make: Callable[[Path, str, bytes], None]
    fate: str = LISTED
    name: str = ""  # as it is listed, without the ending, if it is not the stem
    deep: bool = False  # in a folder of its own: lists of one flat folder pass it over


def _file(template="{}"):
    def make(folder, name, data):
        path = Path(folder, template.format(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return make


def _bytes_name(start):
    def make(folder, name, data):
        path = os.fsencode(folder) + b"/" + start + b"." + name.rpartition(".")[2].encode()
        Path(os.fsdecode(path)).write_bytes(data)

    return make


def _link(target):
    def make(folder, name, data):
        Path(folder, name).symlink_to(target.format(name))

    return make


def _loop_of_two(folder, name, data):
    Path(folder, name).symlink_to(f"other {name}")
    Path(folder, f"other {name}").symlink_to(name)


def _link_to_pipe(folder, name, data):
    os.mkfifo(folder / "pipe")
    Path(folder, name).symlink_to("pipe")


def _through_a_loop(folder, name, data):
    Path(folder, "round").symlink_to("round")
    Path(folder, name).symlink_to(f"round/{name}")


def _folder(folder, name, data):
    Path(folder, name).mkdir()


def _folder_with_it(folder, name, data):
    _file(f"{name}/{{}}")(folder, name, data)


def _up_and_round(folder, name, data):
    _file("sub/{}")(folder, name, data)
    for link in ("up", "here", "again"):
        Path(folder, "sub", link).symlink_to("..")
        Path(folder, link).symlink_to(".")


def _composed_and_not(folder, name, data):
    _file("é {}")(folder, name, data)
    _file("e\u0301 {}")(folder, name, data)


def hugging_face(folder, files, repository="models--h94--IP-Adapter", revision="018e402774ae"):
    """Hugging Face's cache of a repository with `files`, path -> bytes: links to numbered blobs."""
    root = Path(folder, repository)
    for made in ("blobs", "refs", f".no_exist/{revision}", f"snapshots/{revision}"):
        Path(root, made).mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(revision)
    (root / ".no_exist" / revision / "model.safetensors").touch()
    for number, (path, data) in enumerate(files.items()):
        blob = root / "blobs" / f"{number:064x}"
        blob.write_bytes(data)
        link = root / "snapshots" / revision / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return root


def _cache(folder, name, data):
    hugging_face(folder, {f"sdxl_models/{name}": data})


def _tagged_cache(folder, name, data):
    hub = Path(folder, "hub")
    hugging_face(hub, {f"sdxl_models/image_encoder/{name}": data})
    (hub / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")


def _emptied_cache(folder, name, data):
    root = hugging_face(folder, {name: data})
    for blob in (root / "blobs").iterdir():
        blob.unlink()


def _downloaded_with_notes(folder, name, data):
    """As Hugging Face's own client downloads into a folder that one names."""
    notes = Path(folder, ".cache", "huggingface", "download")
    notes.mkdir(parents=True)
    (notes / f"{name}.lock").touch()
    (notes / f"{name}.metadata").write_text("018e402774ae\n")
    (notes / f"{name}.5c1f.incomplete").write_bytes(data[:9])
    _file()(folder, name, data)


def _notes_beside(folder, name, data):
    """What model managers and systems write: descriptions, previews, marks of the origin."""
    stem = name.rpartition(".")[0]
    for ending in ("civitai.info", "metadata.json", "preview.png", "json", "yaml", "sha256"):
        Path(folder, f"{stem}.{ending}").write_text("{}")
    for left in (f"{name}:Zone.Identifier", ".DS_Store", "Thumbs.db", "desktop.ini"):
        Path(folder, left).write_text("[ZoneTransfer]")


def _unfinished(folder, name, data):
    for ending in ("part", "crdownload", "aria2", "download", "tmp", "!ut", "partial"):
        Path(folder, f"{name}.{ending}").write_bytes(data[:9])


_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 1\n" % 0
_CACHED = "models--h94--IP-Adapter/snapshots/018e402774ae"

ODD = {
    "link to itself": Odd(_link("{}"), REFUSED),
    "loop of two links": Odd(_loop_of_two, REFUSED),
    "link through a loop": Odd(_through_a_loop, REFUSED),
    "dangling link": Odd(_link("gone/{}"), REFUSED),
    "dangling link to another place": Odd(_link("/mnt/gone/{}"), REFUSED),
    "link to a device": Odd(_link("/dev/zero"), REFUSED),
    "link to a pipe": Odd(_link_to_pipe, REFUSED),
    "pipe": Odd(lambda f, n, d: os.mkfifo(f / n), REFUSED),
    "socket": Odd(lambda f, n, d: os.mknod(f / n, stat.S_IFSOCK | 0o600), REFUSED),
    "folder": Odd(_folder, REFUSED),
    "folder with it": Odd(_folder_with_it, LISTED, "{0}/{1}", deep=True),
    "links to folders above": Odd(_up_and_round, LISTED, "sub/{1}", deep=True),
    "downloads under way": Odd(_unfinished, PASSED),
    "notes of other tools": Odd(_notes_beside, PASSED),
    "unfinished in ModelScope's cache": Odd(_file("._____temp/{}"), PASSED, deep=True),
    "beside notes of its download": Odd(_downloaded_with_notes),
    "pointer of Git LFS": Odd(lambda f, n, d: (f / n).write_bytes(_POINTER), REFUSED),
    "link into git-annex": Odd(_link(".git/annex/objects/Xj/{}"), REFUSED),
    "empty file": Odd(lambda f, n, d: (f / n).touch(), REFUSED),
    "half a file": Odd(lambda f, n, d: (f / n).write_bytes(d[: len(d) // 2]), REFUSED),
    "not UTF-8": Odd(_bytes_name(b"\x83X\x83^"), LISTED, r"\x83X\x83^"),
    "partly UTF-8": Odd(_bytes_name("é".encode() + b"\xff\xfe"), LISTED, r"é\xff\xfe"),
    "folder not UTF-8": Odd(_bytes_name(b"\x93/\x94"), LISTED, r"\x93/\x94", deep=True),
    "escape": Odd(_file("a\x1b[31m{}"), LISTED, r"a\x1b[31m{1}"),
    "line break": Odd(_file("a\nb\r{}"), LISTED, r"a\nb\r{1}"),
    "bell and delete": Odd(_file("\x07\x7f{}"), LISTED, r"\x07\x7f{1}"),
    "line separator": Odd(_file("a\u2028b\u0085{}"), LISTED, r"a\u2028b\x85{1}"),
    "turned round": Odd(_file("a\u202eb{}"), LISTED, r"a\u202eb{1}"),
    "decomposed": Odd(_file("e\u0301 {}"), LISTED, "é {1}"),
    "markup": Odd(_file("<b>'\"&{}"), LISTED, "<b>'\"&{1}"),
    "another script": Odd(_file("\u6c34\u5f69\u3000{}"), LISTED, "\u6c34\u5f69\u3000{1}"),
    "AppleDouble": Odd(lambda f, n, d: (f / f"._{n}").write_bytes(b"\0\5\x16\7" + d), PASSED),
    "AppleDouble of a sound file": Odd(_file("._{}"), PASSED),
    "folder of an archive": Odd(_file("__MACOSX/._{}"), PASSED, deep=True),
    "bin": Odd(_file(".Trash-1000/files/{}"), PASSED, deep=True),
    "bin of Windows": Odd(_file("$RECYCLE.BIN/{}"), PASSED, deep=True),
    "Hugging Face cache": Odd(_cache, LISTED, f"{_CACHED}/sdxl_models/{{1}}", deep=True),
    "its tagged cache": Odd(
        _tagged_cache, LISTED, f"hub/{_CACHED}/sdxl_models/image_encoder/{{1}}", deep=True
    ),
    "its cache less the blobs": Odd(_emptied_cache, REFUSED, f"{_CACHED}/{{1}}", deep=True),
}  # fmt: skip


DAMAGED_WITHIN = ("empty file", "half a file", "pointer of Git LFS")
"""Those that a look at the file alone tells: a list that opens none has them."""


def _mkdir_for_bytes(folder):
    Path(os.fsdecode(os.fsencode(folder) + b"/\x93")).mkdir(exist_ok=True)


def make(kind, folder, stem, ending, sound):
    """Put the entry of that kind into `folder`; the name under which it is to be listed."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "folder not UTF-8":
        _mkdir_for_bytes(folder)
    odd = ODD[kind]
    name = f"{stem}{ending}"
    odd.make(folder, name, sound)
    return (odd.name or "{1}").replace("{0}", name).replace("{1}", stem)


def check_answer(answer, folder):
    """Nothing in it that JSON, a page, a console or a line of infotext could not hold, no path."""
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    text.encode()
    for piece in _texts(answer):
        assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in piece), piece
        assert str(folder) not in piece and "/mnt/" not in piece and "/dev/" not in piece, piece


def check_refusals(refused):
    for name, sentence in refused:
        assert name and sentence.endswith(".") and sentence.count("\n") == 0, (name, sentence)


def _texts(answer):
    if isinstance(answer, str):
        yield answer
    elif isinstance(answer, dict):
        for key, value in answer.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(answer, (list, tuple)):
        for value in answer:
            yield from _texts(value)


# What happens to files between the listing and the look, or whenever they are opened.


def _denied(path):
    raise PermissionError(13, "Permission denied", os.fspath(path))


def _broken_disk(path):
    raise OSError(5, "Input/output error", os.fspath(path))


def _gone(path):
    Path(path).unlink()


def _renamed(path):
    Path(path).rename(f"{os.fspath(path)}.old")


def _emptied(path):
    Path(path).write_bytes(b"")


def _became_a_pipe(path):
    Path(path).unlink()
    os.mkfifo(path)


DISTURBANCES = {
    "permission denied": (_denied, REFUSED),
    "a broken disk": (_broken_disk, REFUSED),
    "deleted": (_gone, PASSED),
    "renamed": (_renamed, PASSED),
    "emptied": (_emptied, REFUSED),
    "exchanged for a pipe": (_became_a_pipe, REFUSED),
}


@contextmanager
def disturbed(monkeypatch, name, disturbance):
    """In this block the file `name` is disturbed at the moment it is opened."""
    real = os.open

    def opened(path, *args, **kwargs):
        if Path(os.fspath(path)).name == name:
            disturbance(path)
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opened)
        yield
