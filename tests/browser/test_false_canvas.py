"""Browsers that falsify what is read from a canvas are sent past it: the file goes as it is."""

import base64

import numpy as np
import pytest
from PIL import Image

from tests.browser.falsifying import FALSE, WAYS
from tests.browser.person import box, open_accordion, wait_until, zone

pytestmark = pytest.mark.usefixtures("sdxl")


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A file that is larger than those that travel as they are."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    grain = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
    Image.fromarray(grain).save(path, quality=80)
    assert path.stat().st_size > 400_000
    return path


def sent(page, photo):
    """Type and bytes of what stands in the box for the chosen file."""
    zone(page).locator("input[type=file]").set_input_files(photo)
    assert wait_until(page, lambda: box(page).input_value() != "")
    kind, _, text = box(page).input_value().partition(";base64,")
    zone(page).locator(".instantstyle-clear").click()
    assert box(page).input_value() == ""
    return kind, base64.b64decode(text)


def test_a_canvas_that_does_not_give_pictures_back_is_not_used(page, photo):
    open_accordion(page)
    assert sent(page, photo)[0] == "data:image/png"
    for way, body in WAYS.items():
        page.evaluate(FALSE, body)
        kind, data = sent(page, photo)
        assert kind == "data:image/jpeg" and data == photo.read_bytes(), way
    page.evaluate(FALSE, "")  # people change it while a page is open
    assert sent(page, photo)[0] == "data:image/png"


def test_half_transparent_pictures_are_still_made_smaller(page, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (900, 1000, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "glass.png")
    open_accordion(page)
    kind, data = sent(page, tmp_path / "glass.png")
    assert kind == "data:image/png"
    assert data != (tmp_path / "glass.png").read_bytes()
