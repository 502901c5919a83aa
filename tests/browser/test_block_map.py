"""The block map by keyboard and by finger, and the size of its bars."""

from itertools import pairwise

import pytest

from tests.browser.conftest import SCREENSHOTS, open_page
from tests.browser.person import (
    cell,
    open_accordion,
    open_advanced,
    part,
    settle,
    status,
    text_of,
    wait_until,
)

BLOCKS = {"tiny_sdxl": 11, "tiny_sd15": 16}
STYLE, NEXT = "up_blocks.0.attentions.1", "up_blocks.0.attentions.2"
SMALLEST = 24  # pixels: what a finger hits


@pytest.fixture
def opened(sdxl, page):
    open_accordion(page)
    status(page).wait_for()
    cell(page, 6).wait_for(state="visible")
    settle(page)
    return page


def track(page, index):
    return cell(page, index).locator(".instantstyle-track")


def weight(page, index):
    return float(cell(page, index).get_attribute("data-weight"))


def focused(page):
    return page.evaluate("document.activeElement.dataset.place")


def stops(page):
    """What Tab goes to in the map."""
    return part(page, "map").evaluate(
        "map => Array.from(map.querySelectorAll('[tabindex=\"0\"], button, input')).filter("
        "e => e.tabIndex === 0).map(e => e.dataset.place || e.textContent)"
    )


def test_the_map_is_one_stop_and_arrows_do_the_rest(opened):
    assert stops(opened) == ["track0"]
    track(opened, 0).focus()
    for _ in range(6):
        opened.keyboard.press("ArrowRight")
    assert focused(opened) == "track6" and stops(opened) == ["track6"]
    opened.keyboard.press("ArrowDown")
    assert weight(opened, 6) == 0.95
    settle(opened)  # the map is drawn anew, with a button to go back to the preset
    assert focused(opened) == "track6"
    assert sorted(stops(opened)) == ["Back to the preset", "track6"]
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("PageUp")
    open_advanced(opened)
    assert wait_until(opened, lambda: text_of(opened, "blocks") == f"{STYLE}=0.95; {NEXT}=0.5")
    for index, key in ((0, "ArrowLeft"), (10, "ArrowRight")):  # there is none beyond
        track(opened, index).press(key)
        assert focused(opened) == f"track{index}"
    assert cell(opened, 3).locator("input").get_attribute("tabindex") == "-1"


def test_a_finger_taps_and_scrolls_and_changes_nothing_else(opened):
    track(opened, 3).scroll_into_view_if_needed()
    settle(opened)
    device = opened.context.new_cdp_session(opened)
    device.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 1})

    def touch(kind, x=None, y=None):
        points = [] if x is None else [{"x": x, "y": y}]
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for across, down in ((0, -30), (30, 0)):
        bar = track(opened, 3).bounding_box()
        x, y = bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2
        touch("touchStart", x, y)
        for share in (0.3, 0.6, 1):
            touch("touchMove", x + across * share, y + down * share)
        touch("touchEnd")
        settle(opened)
        assert weight(opened, 3) == 0 and weight(opened, 6) == 1
    bar = track(opened, 3).bounding_box()
    touch("touchStart", bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
    touch("touchEnd")
    assert wait_until(opened, lambda: weight(opened, 3) == 1)
    assert track(opened, 3).evaluate("track => getComputedStyle(track).touchAction") == "pan-y"


@pytest.mark.parametrize("family", BLOCKS)
def test_every_bar_is_wide_enough_for_a_finger(client, empty_tab, webui, family):
    client.options(sd_model_checkpoint=f"{family}.safetensors")
    page = empty_tab
    open_page(page, webui)
    open_accordion(page)
    bars = part(page, "map").locator(".instantstyle-track")
    assert wait_until(page, lambda: bars.count() == BLOCKS[family])
    for width in (1500, 700):
        page.set_viewport_size({"width": width, "height": 1200})
        settle(page)
        part(page, "map").screenshot(path=SCREENSHOTS / f"map-{family}-{width}.png")
        around = part(page, "map").bounding_box()
        boxes = [bar.bounding_box() for bar in bars.all()]
        fields = [e.bounding_box() for e in part(page, "map").locator(".instantstyle-own").all()]
        for box in boxes + fields:
            assert min(box["width"], box["height"]) >= SMALLEST, (width, box)
            assert box["x"] >= around["x"] - 1, (width, box)
            assert box["x"] + box["width"] <= around["x"] + around["width"] + 1, (width, box)
        rows = {}
        for box in boxes:
            rows.setdefault(round(box["y"]), []).append(box)
        for row in rows.values():
            for left, right in pairwise(row):
                assert left["x"] + left["width"] <= right["x"], (width, left, right)


def test_a_click_on_a_map_that_is_out_of_date_writes_nothing(opened):
    """Between "Back to the preset" and the answer the bars are still the old ones."""
    track(opened, 3).click()
    reset = part(opened, "map").locator(".instantstyle-reset")
    reset.wait_for(state="visible")
    settle(opened)
    opened.evaluate(
        """map => {
            map.querySelector(".instantstyle-reset").click();
            const track = map.querySelector('[data-index="8"] .instantstyle-track');
            const at = {bubbles: true, button: 0};
            track.dispatchEvent(new PointerEvent("pointerdown", at));
            track.dispatchEvent(new PointerEvent("pointerup", at));
        }""",
        part(opened, "map").element_handle(),
    )
    assert text_of(opened, "blocks") == ""
    assert wait_until(opened, lambda: weight(opened, 3) == 0 and weight(opened, 6) == 1)
    assert text_of(opened, "blocks") == ""
