"""Browsers that falsify what is read from a canvas are sent past it: the file goes as it is."""

import base64

import numpy as np
import pytest
from PIL import Image

from tests.browser.person import box, open_accordion, wait_until, zone

pytestmark = pytest.mark.usefixtures("sdxl")

# What a browser may do instead, with the true functions at hand. `noisy` returns the canvas with
# the lowest bit of `count` pixels changed.
FALSE = """(body) => {
    const canvas = HTMLCanvasElement.prototype, context = CanvasRenderingContext2D.prototype;
    window.original = window.original || {
        toDataURL: canvas.toDataURL, getContext: canvas.getContext,
        getImageData: context.getImageData,
    };
    const original = window.original;
    Object.assign(canvas, {toDataURL: original.toDataURL, getContext: original.getContext});
    context.getImageData = original.getImageData;
    const spoilt = (data, count) => {
        const size = data.data.length / 4;
        for (let n = 0; n < count; n++) data.data[4 * Math.floor(Math.random() * size)] ^= 1;
        return data;
    };
    const pixels = (c, count) => spoilt(original.getImageData.call(
        original.getContext.call(c, "2d"), 0, 0, c.width, c.height), count);
    const noisy = (c, count) => {
        const other = document.createElement("canvas");
        Object.assign(other, {width: c.width, height: c.height});
        original.getContext.call(other, "2d").putImageData(pixels(c, count), 0, 0);
        return original.toDataURL.call(other);
    };
    new Function("canvas", "context", "original", "spoilt", "pixels", "noisy", body)(
        canvas, context, original, spoilt, pixels, noisy);
}"""
WAYS = {
    "all of it": "canvas.toDataURL = function() { return noisy(this, this.width * this.height); }",
    "some pixels, as Brave": "canvas.toDataURL = function() { return noisy(this, 100); }",
    "one pixel": "canvas.toDataURL = function() { return noisy(this, 1); }",
    "large ones only": """canvas.toDataURL = function() {
        return this.width > 300 ? noisy(this, 3) : original.toDataURL.call(this); }""",
    "in the canvas itself": """canvas.toDataURL = function() {
        original.getContext.call(this, "2d").putImageData(pixels(this, 100), 0, 0);
        return original.toDataURL.call(this); }""",
    "pixels": """context.getImageData = function(...given) {
        return spoilt(original.getImageData.apply(this, given), 100); }""",
    "white, everywhere": """
        context.getImageData = function(...given) {
            const data = original.getImageData.apply(this, given);
            data.data.fill(255);
            return data; };
        canvas.toDataURL = function() {
            const other = document.createElement("canvas");
            Object.assign(other, {width: this.width, height: this.height});
            const drawn = original.getContext.call(other, "2d");
            drawn.fillStyle = "white";
            drawn.fillRect(0, 0, other.width, other.height);
            return original.toDataURL.call(other); }""",
    "nothing": "canvas.toDataURL = function() { return null; }",
    "an empty URL": "canvas.toDataURL = function() { return 'data:,'; }",
    "another format": """canvas.toDataURL = function() {
        return original.toDataURL.call(this, "image/jpeg"); }""",
    "another size": """canvas.toDataURL = function() {
        return original.toDataURL.call(document.createElement("canvas")); }""",
    "an error": "canvas.toDataURL = function() { throw new Error('not allowed'); }",
    "no pixels": "context.getImageData = function() { throw new Error('not allowed'); }",
    "no canvas": "canvas.getContext = function() { return null; }",
}


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
