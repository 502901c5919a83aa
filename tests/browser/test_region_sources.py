"""The canvas for a region in img2img, by finger, and in browsers that falsify canvases."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.browser.falsifying import FALSE, WAYS
from tests.browser.person import COFFEE, box, open_accordion, open_regions, wait_until
from tests.browser.regions import (
    canvas,
    changes,
    colour_at,
    drag,
    open_region,
    press,
    region,
    says,
    sent,
    set_size,
    sized,
)

pytestmark = pytest.mark.usefixtures("sdxl")

TAB = "img2img"
FORGE_DRAWING = """url => {
    const named = document.querySelector('#img2maskimg [id*="uuid_"]');
    const id = /uuid_\\w+/.exec(named.id)[0];
    const box = document.querySelector("#" + id + ".logical_image_foreground textarea");
    box.value = url;
    updateInput(box);
}"""


def png(image):
    data = io.BytesIO()
    image.save(data, format="PNG")
    return data.getvalue()


def choose(page, name):
    """A tab of img2img's pictures."""
    page.locator("#mode_img2img").get_by_role("tab", name=name, exact=True).or_(
        page.locator("#mode_img2img > .tab-nav > button").get_by_text(name, exact=True)
    ).first.click()


def upload(page, place, data):
    field = page.locator(f"#{place} input[type=file]").first
    field.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": data})
    there = f"() => instantstyle.pictureIn({place!r}) !== ''"
    assert wait_until(page, lambda: page.evaluate(there))


@pytest.fixture
def opened(page):
    page.evaluate("switch_to_img2img()")
    open_accordion(page, TAB)
    return page


def test_the_picture_to_be_changed_lies_beneath(opened):
    open_region(opened, TAB)
    beneath = region(opened, TAB).locator(".instantstyle-region-sheet img")
    assert not beneath.is_visible()
    upload(opened, "img2img_image", COFFEE.read_bytes())
    assert wait_until(opened, beneath.is_visible)
    assert float(beneath.evaluate("e => getComputedStyle(e).opacity")) < 0.6
    fits = "e => getComputedStyle(e).objectFit"
    assert beneath.evaluate(fits) == "fill"
    opened.locator("#resize_mode").get_by_text("Crop and resize", exact=True).click()
    assert wait_until(opened, lambda: beneath.evaluate(fits) == "cover")
    above, under = (e.bounding_box() for e in (canvas(opened, TAB), beneath))
    assert above == under
    # Resized by a factor, the result has the picture's own shape.
    opened.locator(".tab-nav > button").get_by_text("Resize by", exact=True).click()
    width, height = Image.open(COFFEE).size
    sized(opened, 512, round(512 * height / width), TAB)


def test_a_mask_of_img2img_is_used(opened):
    open_region(opened, TAB)
    press(opened, "inpaint", TAB)
    says(opened, "There is no mask in img2img. Draw one in its tab Inpaint", TAB)
    choose(opened, "Inpaint upload")
    half = Image.new("L", (40, 20))
    half.paste(255, (20, 0, 40, 20))
    upload(opened, "img_inpaint_mask", png(half))
    changes(opened, "inpaint", TAB)
    mask = sent(opened, TAB)
    assert mask.shape == (512, 512)
    assert mask[:, 270:].min() == 255 and mask[:, :240].max() == 0
    says(opened, "Unit 1 acts in 50 % of the picture", TAB)
    changes(opened, "undo", TAB)
    assert box(opened, "mask", TAB).input_value() == ""


def test_a_mask_that_is_drawn_in_img2img_is_used(opened):
    set_size(opened, 512, 512, TAB)
    choose(opened, "Inpaint")
    upload(opened, "img2maskimg", png(Image.new("RGB", (256, 256), "grey")))
    drawn = opened.locator('#img2maskimg canvas[key="interface"]')
    if drawn.count():  # Gradio 3: with the mouse, along the upper edge
        area = drawn.bounding_box()
        opened.mouse.move(area["x"] + 5, area["y"] + 5)
        opened.mouse.down()
        opened.mouse.move(area["x"] + area["width"] - 5, area["y"] + 5, steps=8)
        opened.mouse.up()
    else:  # Forge's editor, whose drawing is a text
        layer = Image.new("RGBA", (256, 256))
        layer.paste((0, 0, 0, 255), (0, 0, 256, 40))
        url = "data:image/png;base64," + base64.b64encode(png(layer)).decode()
        opened.evaluate(FORGE_DRAWING, url)
    open_region(opened, TAB)
    changes(opened, "inpaint", TAB)
    mask = sent(opened, TAB)
    assert (mask[:10] > 127).mean() > 0.9 and not mask[256:].any()
    assert colour_at(opened, 0.5, 0.01, TAB)[3] > 100


def test_a_finger_draws_and_does_not_scroll(page):
    open_accordion(page)
    open_region(page)
    press(page, "rectangle")
    canvas(page).scroll_into_view_if_needed()
    area = canvas(page).bounding_box()
    before = page.evaluate("scrollY")
    touches = page.context.new_cdp_session(page)

    def touch(kind, *share):
        point = {side: area[side] + part * 512 for side, part in zip("xy", share)}
        points = [point] if point else []
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.5, 0.75)
    for step in range(1, 6):
        touch("touchMove", 0.5 - step * 0.1, 0.75 - step * 0.1)
    touch("touchEnd")
    assert wait_until(page, lambda: box(page, "mask").input_value() != "")
    expected = np.zeros((512, 512))
    expected[128:384, 0:256] = 255
    assert (sent(page) != expected).mean() < 0.01
    assert page.evaluate("scrollY") == before


@pytest.mark.parametrize("way", ["all of it", "white, everywhere", "no pixels", "nothing"])
def test_a_canvas_that_is_falsified_is_not_sent(page, way):
    open_accordion(page)
    open_region(page)
    press(page, "rectangle")
    drag(page, (0.0, 0.0), (0.5, 0.5))
    held = box(page, "mask").input_value()
    page.evaluate(FALSE, WAYS[way])
    press(page, "invert")
    says(page, "This browser changes what a page reads from a canvas, so nothing was taken over.")
    assert box(page, "mask").input_value() == held
    page.evaluate(FALSE, "")
    region(page).locator("[data-action=close]").click()
    region(page).get_by_text("Draw the region").click()
    says(page, "Unit 1 acts in 25 % of the picture")
    changes(page, "invert")


def test_two_areas_keep_apart(page):
    """That of txt2img and that of img2img."""
    open_accordion(page)
    open_region(page)
    changes(page, "all")
    page.evaluate("switch_to_img2img()")
    open_accordion(page, TAB)
    open_regions(page, TAB)
    assert box(page, "mask", TAB).input_value() == ""
    assert not canvas(page, TAB).is_visible()
