"""The canvas on which a unit's region is drawn: what is drawn is the mask that the page sends."""

import base64
import hashlib

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import shoot
from tests.browser.person import (
    box,
    choose_unit,
    drop,
    generate,
    open_accordion,
    open_regions,
    small,
    wait_until,
    zone,
)
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


@pytest.fixture
def opened(page):
    open_accordion(page)
    return page


def test_a_rectangle_is_the_white_part_of_the_mask(opened):
    open_region(opened)
    says(opened, "Nothing is drawn: unit 1 acts in the whole picture.")
    press(opened, "rectangle")
    drag(opened, (0.25, 0.5), (0.75, 1.0))
    mask = sent(opened)
    assert mask.shape == (512, 512)
    expected = np.zeros((512, 512))
    expected[256:512, 128:384] = 255
    assert np.array_equal(mask, expected)
    assert set(np.unique(mask)) == {0, 255}
    says(opened, "Unit 1 acts in 25 % of the picture")
    shoot(opened, "region")


def test_what_is_drawn_is_what_a_generation_gets(opened):
    small(opened)
    drop(opened)
    open_region(opened)
    press(opened, "rectangle")
    drag(opened, (0.0, 0.0), (0.5, 1.0))
    data = base64.b64decode(box(opened, "mask").input_value().split(",")[1])
    info, error = generate(opened)
    assert error == "" and f"mask: {hashlib.sha256(data).hexdigest()[:12]}" in info


def test_brush_eraser_and_buttons_each_of_which_can_be_undone(opened):
    open_region(opened)
    drag(opened, (0.2, 0.5), (0.8, 0.5))
    stroke = sent(opened)
    assert stroke[256, 110:400].all() and not stroke[:200].any()
    assert 40 <= (stroke[:, 256] > 127).sum() <= 70  # as wide as the brush
    press(opened, "eraser")
    drag(opened, (0.5, 0.2), (0.5, 0.8))
    erased = sent(opened)
    assert erased[256, 130] == 255 and erased[256, 256] == 0
    changes(opened, "invert")
    assert np.abs(sent(opened).astype(int) - (255 - erased)).max() <= 1
    changes(opened, "all")
    assert sent(opened).all()
    assert changes(opened, "clear") == ""  # a mask that is black everywhere would be refused
    says(opened, "Nothing is drawn")
    for expected in (np.full_like(stroke, 255), 255 - erased, erased, stroke):
        changes(opened, "undo")
        assert np.abs(sent(opened).astype(int) - expected).max() <= 1
    assert changes(opened, "undo") == ""
    undo = region(opened).locator("[data-action=undo]")
    assert undo.get_attribute("aria-disabled") == "true"


def test_the_canvas_has_the_shape_of_the_picture_to_come(opened):
    set_size(opened, 768, 512)
    open_region(opened)
    sized(opened, 512, 341)
    press(opened, "rectangle")
    drag(opened, (0.0, 0.0), (0.5, 1.0))
    assert sent(opened).shape == (341, 512)
    set_size(opened, 512, 1024)  # the left half is still the left half
    sized(opened, 256, 512)
    area = canvas(opened).bounding_box()
    assert abs(area["height"] / area["width"] - 2) < 0.05
    assert colour_at(opened, 0.25, 0.9)[3] > 100 and colour_at(opened, 0.75, 0.9)[3] == 0
    drag(opened, (0.5, 0.0), (1.0, 0.5))
    mask = sent(opened)
    assert mask.shape == (512, 256) and abs((mask > 127).mean() - 0.75) < 0.02


def test_a_mask_in_the_box_is_loaded_and_one_that_is_removed_is_gone(opened, tmp_path):
    levels = np.zeros((30, 60), np.uint8)
    levels[:, 30:] = 255
    Image.fromarray(levels).save(tmp_path / "right.png")
    open_regions(opened)
    drop(opened, tmp_path / "right.png", name="mask")
    held = box(opened, "mask").input_value()
    region(opened).get_by_text("Draw the region").click()
    says(opened, "Unit 1 acts in 50 % of the picture")
    assert colour_at(opened, 0.75, 0.2)[3] > 100 and colour_at(opened, 0.25, 0.2)[3] == 0
    assert box(opened, "mask").input_value() == held  # looking at it changes nothing
    press(opened, "rectangle")
    drag(opened, (0.0, 0.0), (0.5, 0.5))
    assert abs((sent(opened) > 127).mean() - 0.75) < 0.02
    zone(opened, "mask").locator(".instantstyle-clear").click()
    says(opened, "Nothing is drawn")
    zone(opened, "mask").locator(".instantstyle-undo").click()
    says(opened, "Unit 1 acts in 75 % of the picture")
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    drop(opened, tmp_path / "black.png", name="mask")
    says(opened, "The region mask is black everywhere")


def test_other_units_are_shown_in_a_colour_and_by_number(opened):
    open_region(opened)
    press(opened, "rectangle")
    drag(opened, (0.0, 0.0), (0.5, 1.0))
    legend = region(opened).locator(".instantstyle-region-legend")
    assert not legend.is_visible()
    choose_unit(opened, 2)
    open_region(opened, unit=2)
    press(opened, "rectangle", unit=2)
    drag(opened, (0.5, 0.0), (1.0, 1.0), unit=2)
    title = region(opened, unit=2).locator(".instantstyle-region-title")
    assert title.inner_text().strip() == "Region of unit 2 (orange)"
    assert (
        "unit 1 (blue)"
        in region(opened, unit=2).locator(".instantstyle-region-legend").inner_text()
    )
    left, right = (colour_at(opened, x, 0.1, unit=2) for x in (0.1, 0.9))
    assert left[2] > left[0] + 50 and right[0] > right[2] + 50 and right[3] > left[3] > 0
    shoot(opened, "region-of-two-units")
    choose_unit(opened, 1)
    assert wait_until(opened, lambda: "unit 2 (orange)" in legend.inner_text())


def test_all_of_it_by_keyboard(opened):
    open_regions(opened)
    opener = region(opened).get_by_text("Draw the region")
    opener.focus()
    opener.press("Enter")
    says(opened, "Nothing is drawn")
    assert opener.get_attribute("aria-expanded") == "true"

    def focused():
        return opened.evaluate(
            "() => document.activeElement.dataset.tool || document.activeElement.tagName"
        )

    for tool in ("brush", "eraser", "rectangle"):
        opened.keyboard.press("Tab")
        assert focused() == tool
        outline = opened.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
    opened.keyboard.press(" ")
    pressed = region(opened).locator("[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["Rectangle"]
    for _ in range(7):  # size, undo, invert, fill, clear, close, canvas
        opened.keyboard.press("Tab")
    assert focused() == "CANVAS"
    opened.keyboard.press(" ")  # from the middle
    for key in ["ArrowRight"] * 8 + ["ArrowDown"] * 8:
        opened.keyboard.press(key)
    opened.keyboard.press(" ")
    assert wait_until(opened, lambda: box(opened, "mask").input_value() != "")
    expected = np.zeros((512, 512))
    expected[256:384, 256:384] = 255
    assert np.array_equal(sent(opened), expected)
    opened.keyboard.press("Control+z")
    assert wait_until(opened, lambda: box(opened, "mask").input_value() == "")
    opened.keyboard.press("Escape")
    assert not canvas(opened).is_visible()
    assert opened.evaluate("() => document.activeElement.getAttribute('aria-expanded')") == "false"
