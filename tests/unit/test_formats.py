"""Picture formats that are read: what this Pillow opens of a fixed list, and nothing else."""

import base64
import io

import pytest
from PIL import Image, ImageFile, features

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.references.pictures import decode_picture, readable_formats
from lib_instantstyle.session import SESSION

ALWAYS = ("PNG", "JPEG", "GIF", "BMP", "TIFF")
MODE = "_mode" if isinstance(vars(Image.Image).get("mode"), property) else "mode"  # since 10.1
HEIC = b"\0\0\0\x18ftypheic"


@pytest.fixture(autouse=True)
def openers():
    """Pillow's openers are put back afterwards."""
    Image.init()
    kept, order = dict(Image.OPEN), list(Image.ID)
    yield
    Image.OPEN.clear()
    Image.OPEN.update(kept)
    Image.ID[:] = order


def plugin(start, colour=(10, 200, 30), size=(6, 4)):
    """An opener as pillow-heif's: files that begin with `start`, all of one colour."""

    class Opened(ImageFile.ImageFile):
        format = "HEIF"
        format_description = "of a plugin"

        def _open(self):
            self._size = size
            setattr(self, MODE, "RGB")
            self.tile = []

        def load(self):
            self.im = Image.new("RGB", size, colour).im
            return super().load()

    return Opened, lambda prefix: prefix.startswith(start)


def sent(data):
    return decode_picture(base64.b64encode(data).decode())


def sentence(data=b"neither of them"):
    with pytest.raises(InstantStyleError) as refused:
        sent(data)
    return str(refused.value)


def test_what_is_read_everywhere_and_what_pillow_was_built_with():
    assert [name for name in readable_formats() if name in ALWAYS] == list(ALWAYS)
    assert ("WEBP" in readable_formats()) == features.check("webp")


@pytest.mark.parametrize(("name", "start"), [("HEIF", HEIC), ("JXL", b"\xff\x0a"), ("AVIF", b"x")])
def test_a_format_comes_with_its_plugin_and_the_sentence_says_so(name, start):
    Image.OPEN.pop(name, None)
    assert name not in readable_formats() and name not in sentence()
    assert "its format is unknown" in sentence(start + bytes(40))
    Image.register_open(name, *plugin(start))
    assert name in readable_formats()
    picture = sent(start + bytes(40))
    assert picture.image.size == (6, 4) and picture.image.getpixel((1, 1)) == (10, 200, 30)
    assert f"one of {', '.join(readable_formats())} is allowed." in sentence()
    assert name in sentence()


def test_a_plugins_picture_is_held_to_the_same_limit():
    SESSION.clear()  # the same bytes were a smaller picture before
    side = int(limits.PICTURE_PIXELS**0.5) + 1
    Image.register_open("HEIF", *plugin(HEIC, size=(side, side)))
    assert "more than" in sentence(HEIC + bytes(40))


def test_what_pillow_was_built_without_is_neither_read_nor_promised(monkeypatch):
    """Its opener stands in the list all the same, and answers with a sentence of its own."""
    for name in ("WEBP", "AVIF"):
        factory = Image.OPEN.get(name, plugin(b""))[0]
        monkeypatch.setitem(Image.OPEN, name, (factory, lambda prefix: f"no {prefix!r}"))
    assert "WEBP" not in readable_formats() and "AVIF" not in readable_formats()
    assert "WEBP" not in sentence()
    monkeypatch.setattr(features, "check", lambda codec: codec != "jpg")
    assert "JPEG" not in readable_formats() and "PNG" in readable_formats()


@pytest.mark.parametrize(
    ("name", "start"),
    [("EPS", b"%!PS-Adobe-3.0"), ("WMF", b"\xd7\xcd\xc6\x9a\0\0"), ("PDF", b"%PDF-1.7"),
     ("FPX", b"\xd0\xcf\x11\xe0"), ("SVG", b"<svg"), ("PSD", b"8BPS"), ("NOVEL", b"novel")],
)  # fmt: skip
def test_what_runs_programs_or_nobody_asked_for_is_never_opened(name, start):
    Image.register_open(name, *plugin(start))
    assert name not in readable_formats()
    assert "its format is unknown" in sentence(start + bytes(40))
    assert name not in sentence()


def test_a_plugin_that_fails_costs_the_others_nothing():
    def broken(prefix):
        raise OSError(prefix)

    Image.register_open("HEIF", plugin(HEIC)[0], broken)
    assert "HEIF" not in readable_formats()
    file = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(file, "PNG")
    assert sent(file.getvalue()).image.size == (3, 2)
