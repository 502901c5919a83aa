"""What may stand in the field `image`, and what is said about the rest."""

import base64
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.tensor import pictures
from lib_instantstyle.tensor.pictures import decode_picture


def png(width=8, height=8, color="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def text(data):
    return base64.b64encode(data).decode()


def test_base64_and_data_url_are_the_same_picture():
    data = png()
    bare = decode_picture(text(data))
    url = decode_picture(f"data:image/png;base64,{text(data)}")
    wrapped = decode_picture("\n".join(text(data)[i : i + 20] for i in range(0, 400, 20)))
    assert bare.sha256 == url.sha256 == wrapped.sha256 == hashlib.sha256(data).hexdigest()
    assert bare.image.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("not base64!", "image is 'not base64!'; a picture as base64 text or data URL is allowed"),
        ("/etc/passwd", "image is '/etc/passwd'|cannot be read as a picture"),
        ("C:\\pictures\\a.png", "a picture as base64 text or data URL is allowed"),
        ("data:image/png,abc", "base64 is allowed"),
        (text(b"GIF89a nonsense"), "cannot be read as a picture"),
        (text(png()[:40]), "cannot be read as a picture"),
        (text(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "cannot be read as a picture"),
        ("aGk=", "cannot be read as a picture"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(value, sentence):
    with pytest.raises(InstantStyleError, match=sentence):
        decode_picture(value)


def test_limits(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 63)
    with pytest.raises(InstantStyleError, match="more than 63 pixels"):
        decode_picture(text(png()))
    monkeypatch.setattr(pictures, "MAX_BYTES", 10)
    with pytest.raises(InstantStyleError, match="up to 10 are allowed"):
        decode_picture(text(png()))


@given(st.binary(max_size=200))
def test_any_bytes_after_a_real_beginning_are_a_picture_or_a_sentence(tail):
    for head in (png()[:33], b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x00\x00\x00\x00WEBP"):
        try:
            decode_picture(text(head + tail))
        except InstantStyleError as error:
            assert "image cannot be read" in str(error) or "pixels" in str(error)
