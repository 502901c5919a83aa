"""What may stand in the field `image`, and what is said about the rest."""

import base64
import hashlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, features

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.references.pictures import NOTHING, decode_picture, read_picture
from lib_instantstyle.references.rgb import to_rgb


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
    "start",
    [
        "data:;base64,",
        "DATA:image/PNG;BASE64,",
        "data:application/octet-stream;base64,",
        "data:image/svg+xml;base64,",
        "data:text/plain;charset=utf-8;base64,",
        'data:image/png;name="a b.png";base64,',
        "data:image/png;name=a%20b.png;base64,",
        "data:;charset=utf-8;base64,",
        "data:image/png;novel;base64,",
    ],
)
def test_a_data_url_may_be_written_in_any_way_of_rfc_2397(start):
    data = png()
    digest = hashlib.sha256(data).hexdigest()
    assert decode_picture(start + text(data)).sha256 == digest
    escaped = text(data).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    assert decode_picture(start + escaped).sha256 == digest


@pytest.mark.parametrize(
    "url", ["data:,abc", "data:;base64", "data:base64,aaaa", "DATA:image/png,a"]
)
def test_a_data_url_without_base64_is_refused_as_such(url):
    with pytest.raises(InstantStyleError, match=r"is the data URL .*; base64 is allowed"):
        decode_picture(url)


def test_a_data_url_of_many_parameters_takes_no_time():
    for url in ("data:" + ";a=b" * 200_000, "data:" + ";" * 200_000, "data:;a=" + "b" * 500_000):
        with pytest.raises(InstantStyleError, match="base64 is allowed"):
            decode_picture(url)


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
    monkeypatch.setattr(limits, "PICTURE_PIXELS", 63)
    with pytest.raises(InstantStyleError, match="more than 63 pixels"):
        decode_picture(text(png()))
    monkeypatch.setattr(limits, "PICTURE_BYTES", 10)
    with pytest.raises(InstantStyleError, match="up to 10 are allowed"):
        decode_picture(text(png()))


@given(st.binary(max_size=200))
def test_any_bytes_after_a_real_beginning_are_a_picture_or_a_sentence(tail):
    for head in (png()[:33], b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x00\x00\x00\x00WEBP"):
        try:
            decode_picture(text(head + tail))
        except InstantStyleError as error:
            assert "image cannot be read" in str(error) or "pixels" in str(error)


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def gradient(mode="RGB", width=20, height=10):
    """A picture whose pixels are all different, so that what is turned or mixed up shows."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 12, y * 25, (x + y) * 8], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_picture_formats(file_format):
    if file_format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    image = read_picture(encoded(gradient(), file_format)).image
    assert image.size == (20, 10) and image.mode == "RGB"
    error = np.abs(np.asarray(image, float) - np.asarray(gradient(), float))
    assert error.mean() < 12


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("1", "PNG"), ("L", "PNG"), ("P", "GIF"), ("CMYK", "JPEG"), ("CMYK", "TIFF"),
     ("YCbCr", "JPEG"), ("L", "JPEG")],
)  # fmt: skip
def test_modes_that_pillow_converts(mode, file_format):
    image = gradient(mode)
    found = read_picture(encoded(image, file_format)).image
    error = np.abs(np.asarray(found, float) - np.asarray(image.convert("RGB"), float))
    assert found.mode == "RGB" and error.mean() < 12


SIXTEEN = np.linspace(0, 65535, 200).reshape(10, 20)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(file_format):
    data = encoded(Image.fromarray(SIXTEEN.astype(np.uint16)), file_format)
    found = np.asarray(read_picture(data).image)
    expected = np.round(SIXTEEN / 257)
    assert found.shape == (10, 20, 3)
    assert np.abs(found - expected[..., None]).max() <= 1
    assert len(np.unique(found)) > 150


def test_deeper_greys_are_scaled_too():
    whole = Image.fromarray((SIXTEEN * 30_000).astype(np.int32))
    share = Image.fromarray((SIXTEEN / 65535).astype(np.float32))
    levels = Image.fromarray((SIXTEEN / 257).astype(np.float32))
    for image, top in ((whole, 234), (share, 255), (levels, 255)):
        found = np.asarray(to_rgb(image))
        assert abs(int(found.max()) - top) <= 1 and found.min() == 0
        expected = SIXTEEN / SIXTEEN.max() * top
        assert np.abs(found[..., 0] - expected).max() <= 1.5
    holes = np.array([[np.nan, np.inf, 0.5, 1.0]], np.float32)
    assert np.asarray(to_rgb(Image.fromarray(holes)))[0, :, 0].tolist() == [0, 0, 128, 255]


def half_transparent(mode):
    """Left half not there, with a loud colour hidden under it; right half as in `gradient`."""
    image = gradient("RGBA")
    image.paste((255, 0, 255, 0), (0, 0, 10, 10))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("RGBA", "GIF")],
)
def test_what_is_transparent_is_the_mean_colour(mode, file_format):
    options = {"lossless": True} if file_format == "WEBP" else {}
    found = np.asarray(
        read_picture(encoded(half_transparent(mode), file_format, **options)).image, float
    )
    assert (found[:, :10] == NOTHING).all()
    expected = np.asarray(gradient().convert("L" if mode == "LA" else "RGB").convert("RGB"), float)
    assert np.abs(found[:, 10:] - expected[:, 10:]).mean() < 12


def test_half_transparent_is_half_the_mean_colour():
    image = read_picture(encoded(Image.new("RGBA", (4, 4), (255, 1, 0, 128)))).image
    share = 128 / 255
    expected = [round(c * share + n * (1 - share)) for c, n in zip((255, 1, 0), NOTHING)]
    assert np.abs(np.asarray(image)[0, 0].astype(int) - expected).max() <= 1


def test_palettes_and_single_colours_can_be_transparent():
    palette = gradient("RGB").quantize(8)
    key = palette.getpixel((0, 0))
    hidden = np.asarray(palette) == key
    for data in (
        encoded(palette, "PNG", transparency=key),
        encoded(palette, "GIF", transparency=key),
    ):
        found = np.asarray(read_picture(data).image)
        assert (found[hidden] == NOTHING).all() and not (found[~hidden] == NOTHING).all(-1).any()
    grey = gradient("L")
    key = grey.getpixel((5, 5))
    found = np.asarray(read_picture(encoded(grey, "PNG", transparency=key)).image)
    assert (found[5, 5] == NOTHING).all() and (found[0, 0] != NOTHING).any()
    found = np.asarray(read_picture(encoded(gradient(), "PNG", transparency=(60, 125, 80))).image)
    assert (found[5, 5] == NOTHING).all() and tuple(found[0, 1]) == (12, 0, 8)
    deep = encoded(Image.fromarray(SIXTEEN.astype(np.uint16)), "PNG")
    chunk = b"tRNS" + struct.pack(">H", 65535)
    chunk = struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk))
    at = deep.index(b"IDAT") - 4
    found = np.asarray(read_picture(deep[:at] + chunk + deep[at:]).image)
    assert tuple(found[-1, -1]) == NOTHING and tuple(found[0, 0]) == (0, 0, 0)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_its_first_frame(file_format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert read_picture(data).image.getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photograph_is_turned_upright(orientation, file_format):
    turned = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = gradient() if turned is None else gradient().transpose(turned)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_picture(encoded(stored, file_format, exif=exif)).image
    assert found.size == (20, 10)
    error = np.abs(np.asarray(found, float) - np.asarray(gradient(), float))
    assert error.mean() < 12


@pytest.mark.parametrize(
    ("file_format", "notes"),
    [
        ("PNG", b"MM\xd7*\0\0\0\x08\0\x02\x01\x0f"),
        ("WEBP", b"MM\0*\0\0\0"),
        (
            "JPEG",
            b"MM\0*\0\0\0\x08\0\x02\x01T\0\x02\0\0\0\x03me\0\0"
            b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
        ),
    ],
)
def test_damaged_camera_notes_do_not_cost_the_picture(file_format, notes):
    data = encoded(gradient(), file_format, exif=b"Exif\0\0" + notes)
    with pytest.raises((SyntaxError, struct.error)):
        ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert read_picture(data).image.size == (20, 10)


def test_one_pixel():
    assert read_picture(png(1, 1)).image.size == (1, 1)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_picture_cut_short_is_refused_with_a_sentence(file_format):
    data = encoded(gradient(width=200, height=200), file_format)
    for end in range(0, len(data) - 40, max(1, len(data) // 25)):
        with pytest.raises(InstantStyleError, match="image cannot be read as a picture"):
            read_picture(data[:end])


def test_bombs_are_refused_before_they_go_off():
    """A PNG that claims 50,000 x 50,000 pixels, and one whose note unpacks to a gigabyte."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    for data, sentence in (
        (png_of([(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100)))]), "more than"),
        (
            png_of([(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)),
                    (b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 9)),
                    (b"IDAT", zlib.compress(bytes(6)))]),
            "cannot be read|more than",
        ),
    ):  # fmt: skip
        tracemalloc.start()
        try:
            with pytest.raises(InstantStyleError, match=sentence):
                read_picture(data)
            assert tracemalloc.get_traced_memory()[1] < 50_000_000
        finally:
            tracemalloc.stop()


def png_of(chunks):
    packed = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in [*chunks, (b"IEND", b"")]
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
