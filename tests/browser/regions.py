"""What a person does at the canvas on which a unit's region is drawn."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from tests.browser.person import box, open_regions, settle, wait_until, zone


def region(page, tab="txt2img", unit=1):
    target = f"script_{tab}_instantstyle_unit_{unit}_mask"
    return page.locator(f'.instantstyle-region[data-target="{target}"]').first


def canvas(page, tab="txt2img", unit=1):
    return region(page, tab, unit).locator("canvas")


def open_region(page, tab="txt2img", unit=1):
    open_regions(page, tab, unit)
    region(page, tab, unit).get_by_text("Draw the region").click()
    canvas(page, tab, unit).wait_for(state="visible")
    settle(page)


def press(page, name, tab="txt2img", unit=1):
    region(page, tab, unit).locator(f"[data-tool={name}], [data-action={name}]").click()


def drag(page, start, end, tab="txt2img", unit=1):
    """Draw from one place to another, given as shares of the canvas."""
    settle(page)  # the status above may still grow
    target = canvas(page, tab, unit)
    target.scroll_into_view_if_needed()
    area = target.bounding_box()
    (x, y), (to_x, to_y) = (
        (area["x"] + a * area["width"], area["y"] + b * area["height"]) for a, b in (start, end)
    )
    before = box(page, "mask", tab, unit).input_value()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move((x + to_x) / 2, (y + to_y) / 2, steps=3)
    page.mouse.move(to_x, to_y, steps=3)
    page.mouse.up()
    assert wait_until(page, lambda: box(page, "mask", tab, unit).input_value() != before)


def sent(page, tab="txt2img", unit=1):
    """The mask in the box as grey levels [h, w]; it is also the one that the box shows."""
    text = box(page, "mask", tab, unit).input_value()
    assert text.startswith("data:image/png;base64,")
    shown = zone(page, "mask", tab, unit).locator(".instantstyle-preview")
    assert wait_until(page, lambda: shown.get_attribute("src") == text)
    image = Image.open(io.BytesIO(base64.b64decode(text.split(",")[1])))
    return np.asarray(image.convert("L"))


def changes(page, name, tab="txt2img", unit=1):
    """Press a button of the canvas; the text of the box after it."""
    held = box(page, "mask", tab, unit)
    before = held.input_value()
    press(page, name, tab, unit)
    assert wait_until(page, lambda: held.input_value() != before), name
    return held.input_value()


def says(page, words, tab="txt2img", unit=1):
    line = region(page, tab, unit).locator(".instantstyle-region-line")
    assert wait_until(page, lambda: words in line.inner_text()), line.inner_text()


def colour_at(page, x, y, tab="txt2img", unit=1):
    """Red, green, blue, alpha of the canvas in a place given as shares."""
    return page.evaluate(
        """([canvas, x, y]) => Array.from(canvas.getContext("2d").getImageData(
            Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1).data)""",
        [canvas(page, tab, unit).element_handle(), x, y],
    )


def set_size(page, width, height, tab="txt2img"):
    for name, value in (("width", width), ("height", height)):
        field = page.locator(f"#{tab}_{name} input[type=number]").first
        field.fill(str(value))
        field.press("Tab")


def sized(page, width, height, tab="txt2img", unit=1):
    def size():
        return page.evaluate("c => [c.width, c.height]", canvas(page, tab, unit).element_handle())

    assert wait_until(page, lambda: size() == [width, height]), size()
