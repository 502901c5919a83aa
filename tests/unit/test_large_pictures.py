"""Pictures larger than anything looks at, and the pictures of a request all together."""

import base64
import io
import warnings

import numpy as np
import pytest
from PIL import Image

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.references import pictures, rgb, unit_pictures
from lib_instantstyle.references.pictures import read_picture
from lib_instantstyle.references.unit_pictures import RequestPictures
from lib_instantstyle.session import SESSION

SIZE = (96, 64)
RED = (200, 30, 10)


def file_of(image, kind="PNG", orientation=None):
    buffer = io.BytesIO()
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image.save(buffer, kind, **({"exif": exif} if orientation else {}))
    return buffer.getvalue()


def text(data):
    return base64.b64encode(data).decode()


def smooth(size=SIZE):
    noise = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def of_mode(mode):
    image, grey = smooth(), np.asarray(smooth().convert("L"))
    if mode in ("I", "I;16"):
        return Image.fromarray(grey.astype(np.int32 if mode == "I" else np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(SIZE))
        return image
    if mode == "P with a colour for nothing":
        image = image.convert("P")
        image.info["transparency"] = 3
        return image
    return image.convert(mode)


@pytest.fixture
def small_budget(monkeypatch):
    """A picture of SIZE is one of very many pixels, converted in four pieces."""
    monkeypatch.setattr(limits, "WHOLE_PIXELS", SIZE[0] * SIZE[1] // 16)
    monkeypatch.setattr(limits, "SHRUNK_SIDE", 8)
    monkeypatch.setattr(rgb, "_STRIP", SIZE[0] * SIZE[1] // 4)


@pytest.mark.parametrize("orientation", [None, 3, 6])
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "1"), ("PNG", "L"), ("PNG", "P"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "LA"),
        ("PNG", "I;16"), ("TIFF", "I"), ("PNG", "P with a colour for nothing"), ("TIFF", "F"),
        ("TIFF", "RGB"), ("TIFF", "I;16"), ("TIFF", "CMYK"), ("WEBP", "RGBA"), ("GIF", "P"),
    ],
)  # fmt: skip
def test_a_very_large_picture_becomes_the_mean_of_its_pixels(
    kind, mode, orientation, small_budget, monkeypatch
):
    data = file_of(of_mode(mode), kind, orientation)
    sizes = []
    convert = rgb._converted
    monkeypatch.setattr(rgb, "_converted", lambda im, *a: sizes.append(im.size) or convert(im, *a))
    SESSION.clear()  # a GIF says nothing of its orientation, so the same file comes three times
    found = read_picture(data)
    pixels = [width * height for width, height in sizes]
    assert max(pixels) <= rgb._STRIP and sum(pixels) >= SIZE[0] * SIZE[1]
    monkeypatch.setattr(limits, "WHOLE_PIXELS", 10**9)
    whole = read_picture(data)
    assert found.size == whole.size == whole.image.size
    assert np.array_equal(np.asarray(found.image), np.asarray(whole.image.reduce(4)))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [None, 6])
def test_a_very_large_jpeg_is_read_at_a_part_of_its_size(
    mode, orientation, small_budget, monkeypatch
):
    data = file_of(smooth().convert(mode), "JPEG", orientation)
    loaded = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda self: loaded.append(self.size) or load(self))
    found = read_picture(data)
    assert max(w * h for w, h in loaded) <= limits.WHOLE_PIXELS
    monkeypatch.undo()
    whole = read_picture(data)
    assert found.size == whole.image.size
    difference = np.asarray(found.image, int) - np.asarray(whole.image.reduce(4), int)
    assert found.image.size == whole.image.reduce(4).size and abs(difference).max() < 12


@pytest.mark.parametrize(
    ("size", "factor"),
    [
        ((1, 1), 1), ((4096, 6144), 1), ((6144, 4097), 2), ((11000, 11000), 3), ((512, 100000), 1),
        ((2047, 60000), 1), ((2048, 60000), 2),
    ],
)  # fmt: skip
def test_what_is_made_smaller(size, factor):
    """Up to 25 million pixels nothing is, nor what is so narrow that it has none to spare."""
    assert rgb.shrink_factor(size) == factor


def test_the_usual_picture_is_kept_pixel_for_pixel():
    image = smooth((600, 400))
    assert np.array_equal(np.asarray(read_picture(file_of(image)).image), np.asarray(image))


def test_the_pixels_are_counted_before_any_is_decoded(monkeypatch):
    data = png(*SIZE)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))

    def claim(pixels):
        raise InstantStyleError(f"{pixels} are too many")

    with pytest.raises(InstantStyleError, match=r"^6144 are too many$"):
        read_picture(data, claim=claim)


def png(width=8, height=8, colour=RED):
    return file_of(Image.new("RGB", (width, height), colour))


@pytest.fixture
def decoded(monkeypatch):
    """What was decoded, one after the other; nothing was read before."""
    SESSION.clear()
    calls = []
    upright = pictures._upright
    monkeypatch.setattr(
        pictures, "_upright", lambda image, *a: calls.append(image.size) or upright(image, *a)
    )
    return calls


class Site:
    """A host whose addresses bring one picture, slowly."""

    def __init__(self):
        self.asked = []

    def fetch(self, url, limit, label):
        self.asked.append(url)
        return png()


def test_one_picture_is_decoded_once_in_a_request(decoded):
    of_request, host = RequestPictures(), Site()
    first = of_request.picture(text(png()), host)
    assert of_request.picture(text(png()), host, "negative_image") is first
    again = of_request.picture("http://x/a", host)
    assert again is of_request.picture("http://x/a", host) and host.asked == ["http://x/a"]
    assert len(decoded) == 1  # the same file, of which nobody has asked for pixels again
    mask = of_request.picture(text(png()), host, "mask", (0, 0, 0))  # with another ground
    assert first.image.size == again.image.size == mask.image.size == again.size == (8, 8)
    assert again.image is again.image and len(decoded) == 3


def test_a_picture_that_was_read_before_keeps_its_limits(decoded, monkeypatch):
    data = png()
    read_picture(data)
    asked = []
    known = read_picture(data, claim=asked.append)
    assert (known.size, asked, len(decoded)) == ((8, 8), [64], 1)
    monkeypatch.setattr(limits, "PICTURE_PIXELS", 63)
    with pytest.raises(InstantStyleError, match="more than 63 pixels"):
        read_picture(data)
    with pytest.raises(InstantStyleError, match="more than 63 pixels"):
        _ = known.image


def test_all_pictures_of_a_request_have_one_budget(decoded, monkeypatch):
    monkeypatch.setattr(limits, "REQUEST_PIXELS", 5 * 64)
    of_request, host = RequestPictures(), Site()
    texts = [text(png(colour=(i, 0, 0))) for i in range(6)]
    for each in [*texts[:5], *texts[:5]]:
        of_request.picture(each, host)
    with pytest.raises(InstantStyleError) as caught:
        of_request.picture(texts[5], host, "mask")
    assert str(caught.value) == (
        "with mask the pictures of the request have 384 pixels; up to 320 are allowed in all, so "
        "make them smaller."
    )
    assert len(decoded) == 5
    of_request.forget()
    assert of_request.picture(texts[0], host).image.size == (8, 8)  # not counted twice
    assert len(decoded) == 6


def test_all_addresses_of_a_request_have_one_time(monkeypatch):
    clock = iter(range(0, 10**6, 25))
    monkeypatch.setattr(unit_pictures.time, "monotonic", lambda: next(clock))
    of_request, host = RequestPictures(), Site()
    for i in range(3):
        of_request.picture(f"http://x/{i}", host)
    with pytest.raises(InstantStyleError, match="have taken more than 60 seconds"):
        of_request.picture("http://x/3", host)
    assert len(host.asked) == 3
    assert of_request.picture(text(png()), host)


def test_a_file_of_very_many_pixels_needs_no_memory_for_them():
    """121 million in 15 kB, which as RGB are 484 MB."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        data = file_of(Image.new("1", (11000, 11000)))
    assert len(data) < 20_000
    found = read_picture(data)
    assert found.image.size == (3667, 3667) and found.size == (11000, 11000)
