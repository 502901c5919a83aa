"""The boxes for pictures: one, several, masks, large ones, broken ones, from the last result."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import PATIENCE, shoot
from tests.browser.person import (
    COFFEE,
    STARS,
    box,
    drop,
    generate,
    open_accordion,
    open_regions,
    part,
    pixels_at,
    set_number,
    small,
    text_of,
    wait_until,
    zone,
)

pytestmark = pytest.mark.usefixtures("sdxl")


def test_a_small_picture_travels_as_it_is_and_the_cross_removes_it(page):
    open_accordion(page)
    drop(page)
    expected = base64.b64encode(COFFEE.read_bytes()).decode()
    assert box(page).input_value() == f"data:image/jpeg;base64,{expected}"
    zone(page).locator(".instantstyle-clear").click()
    assert box(page).input_value() == ""
    assert zone(page).locator(".instantstyle-hint").is_visible()
    assert not box(page).is_visible()  # a text box this long would freeze the page


def test_several_pictures_each_with_a_weight(page):
    small(page)
    open_accordion(page)
    drop(page)
    drop(page, STARS)
    weight = zone(page).locator(".instantstyle-weight").nth(1)
    weight.fill("0.5")
    weight.press("Tab")
    shoot(page, "several")
    held = json.loads(box(page).input_value())
    assert [reference["weight"] for reference in held] == [1, 0.5]
    assert held[1]["image"].endswith(base64.b64encode(STARS.read_bytes()).decode())
    # One dropped on another takes its place and its weight.
    drop(page, COFFEE, on=zone(page).locator(".instantstyle-picture").nth(1))
    again = json.loads(box(page).input_value())
    assert again[1] == {"image": again[0]["image"], "weight": 0.5}
    zone(page).locator(".instantstyle-clear").nth(1).click()
    assert box(page).input_value() == held[0]["image"]


def test_a_picture_is_pasted_where_the_focus_is(page):
    open_accordion(page)
    button = zone(page).locator(".instantstyle-hint")
    button.focus()
    page.evaluate(
        """data => {
            const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([bytes], "a.jpg", {type: "image/jpeg"}));
            document.activeElement.dispatchEvent(
                new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
        }""",
        base64.b64encode(COFFEE.read_bytes()).decode(),
    )
    assert wait_until(page, lambda: box(page).input_value() != "")
    pasted = box(page).input_value()
    drop(page, STARS)
    button.press("Delete")  # the last one alone
    assert box(page).input_value() == pasted
    button.press("Backspace")
    assert box(page).input_value() == ""


def focused(page):
    return page.evaluate("document.activeElement.className")


def test_a_box_is_used_by_keyboard_alone(page):
    open_accordion(page)
    open_regions(page)
    for name in ("image", "mask"):
        button = zone(page, name).locator(".instantstyle-hint")
        for key in ("Enter", " "):
            with page.expect_file_chooser() as chooser:
                button.press(key)
        chooser.value.set_files(COFFEE)
        assert wait_until(page, lambda name=name: box(page, name).input_value() != "")
        assert focused(page) == "instantstyle-hint"
        zone(page, name).locator(".instantstyle-clear").press("Enter")
        assert box(page, name).input_value() == ""
        assert focused(page) == "instantstyle-hint"


def test_the_picture_of_img2img_becomes_the_reference(page):
    open_accordion(page)
    button = part(page, "last_result").locator('button[data-gallery="img2img_image"]')
    button.click()
    assert wait_until(page, lambda: button.get_attribute("title") == "There is no picture yet")
    assert box(page).input_value() == ""
    page.evaluate("switch_to_img2img()")
    page.locator("#img2img_image input[type=file]").first.set_input_files(COFFEE)
    assert wait_until(page, lambda: page.evaluate("instantstyle.pictureIn('img2img_image') !== ''"))
    page.evaluate("switch_to_txt2img()")
    button.click()
    assert wait_until(page, lambda: box(page).input_value() != "")


def test_the_last_result_becomes_the_reference(page):
    small(page)
    generate(page)
    open_accordion(page)
    part(page, "last_result").locator("button[data-gallery]").first.click()
    assert wait_until(page, lambda: box(page).input_value() != "")
    shown = page.locator("#txt2img_gallery img").first.get_attribute("src")
    assert pixels_at(page, box(page).input_value()) == pixels_at(page, shown)


def texts_in(page, place):
    """All texts that stand in a place from now on."""
    return page.evaluate_handle(
        """place => {
            const seen = [];
            const note = () => seen.push(place.textContent.trim());
            new MutationObserver(note).observe(
                place, {childList: true, subtree: true, characterData: true});
            return seen;
        }""",
        place.element_handle(),
    )


def test_what_clip_sees_and_words_for_it_are_shown_on_request(page):
    open_accordion(page)
    drop(page)
    part(page, "crops_button").click()
    part(page, "crops").locator("img").first.wait_for(state="visible")
    seen = texts_in(page, part(page, "words"))
    part(page, "words_button").click()
    words = part(page, "words").locator(".instantstyle-word")
    words.first.wait_for(state="visible", timeout=2 * PATIENCE)  # all words are read, once
    told = seen.evaluate("seen => seen.join()")
    assert "Looking at the reference ..." in told
    kept = "Reading" not in told  # by an earlier test's look, or a quick machine: no need to tell
    assert kept or re.search(r"Reading 1,525 words with the .*, once: [\d,]+ of 1,525", told)
    first, second = words.nth(0).inner_text(), words.nth(1).inner_text()
    words.nth(0).click()
    words.nth(1).click()
    assert text_of(page, "content") == f"{first} | {second}"
    pressed = [words.nth(i) for i in (0, 1, 2)]
    shown = ["true", "true", "false"]
    assert wait_until(
        page, lambda: [word.get_attribute("aria-pressed") for word in pressed] == shown
    )
    shoot(page, "words")
    words.nth(0).click()
    assert text_of(page, "content") == second


def test_masks_have_boxes_of_their_own(page, tmp_path):
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    mask.save(tmp_path / "mask.png")
    open_accordion(page)
    open_regions(page)
    for name in ("mask", "reference_mask", "negative_image"):
        drop(page, tmp_path / "mask.png", name=name)
        assert box(page, name).input_value().startswith("data:image/")
    drop(page, COFFEE, name="mask")  # one only: the new one takes its place
    assert base64.b64decode(box(page, "mask").input_value().split(",")[1]) == COFFEE.read_bytes()
    assert box(page).input_value() == ""
    assert "Region mask" in zone(page, "mask").inner_text()  # a full box has its title
    shoot(page, "masks")


def test_a_removed_picture_can_be_had_back(page):
    open_accordion(page)
    drop(page)
    drop(page, STARS, on=zone(page).locator(".instantstyle-hint"))
    two = box(page).input_value()
    zone(page).locator(".instantstyle-clear").first.click()
    assert wait_until(page, lambda: box(page).input_value() != two)
    one = box(page).input_value()
    zone(page).locator(".instantstyle-clear").first.click()
    assert wait_until(page, lambda: box(page).input_value() == "")
    zone(page).locator(".instantstyle-undo").click()
    assert box(page).input_value() == one
    assert zone(page).locator(".instantstyle-picture").count() == 1
    drop(page, STARS, on=zone(page).locator(".instantstyle-hint"))
    assert zone(page).locator(".instantstyle-undo").count() == 0


def test_the_weight_of_a_picture_stays_in_its_range_and_keeps_the_focus(page):
    open_accordion(page)
    drop(page)
    drop(page, STARS, on=zone(page).locator(".instantstyle-hint"))
    weight = zone(page).locator(".instantstyle-weight").nth(1)
    weight.fill("50")
    weight.press("Enter")
    assert wait_until(page, lambda: weight.input_value() == "10")
    assert page.evaluate("() => document.activeElement.matches('.instantstyle-weight')")


def test_what_clip_saw_of_another_picture_goes(page):
    open_accordion(page)
    part(page, "crops_button").click()
    crops = part(page, "crops")
    assert wait_until(page, lambda: "Drop a reference picture first" in crops.inner_text())
    drop(page)
    assert wait_until(page, lambda: crops.inner_text().strip() == "")


def test_a_file_that_is_no_picture_is_said(page, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(COFFEE.read_bytes()[:3000])
    small(page)
    open_accordion(page)
    zone(page).locator("input[type=file]").set_input_files(tmp_path / "broken.jpg")
    assert wait_until(page, lambda: box(page).input_value() != "")
    _, error = generate(page)
    assert "cannot be read as a picture" in error


def test_a_large_picture_is_scaled_down_and_the_encoder_sees_the_same(page, tmp_path):
    """What the page sends of a large photo gives the vector that the API gets from all of it."""
    import torch

    from lib_instantstyle.references.pictures import read_picture
    from tests.engine import clip_pixels

    grain = np.random.default_rng(0).normal(0, 6, (2400, 3200, 3))
    photo = np.asarray(Image.open(COFFEE).convert("RGB").resize((3200, 2400)), float) + grain
    large = Image.fromarray(photo.clip(0, 255).astype(np.uint8))
    large.save(tmp_path / "large.jpg", quality=95)
    assert (tmp_path / "large.jpg").stat().st_size > 1_000_000
    open_accordion(page)
    zone(page).locator("input[type=file]").set_input_files(tmp_path / "large.jpg")
    assert wait_until(page, lambda: box(page).input_value() != "")
    sent = base64.b64decode(box(page).input_value().split(",")[1])
    assert Image.open(io.BytesIO(sent)).size == (1024, 768)
    whole, scaled = (
        clip_pixels(read_picture(data).image, 224).flatten()
        for data in ((tmp_path / "large.jpg").read_bytes(), sent)
    )
    # The encoder's input already agrees; a smooth function of it agrees more.
    assert torch.nn.functional.cosine_similarity(whole, scaled, dim=0) >= 0.999


def test_dropping_a_picture_switches_its_unit_on(page):
    open_accordion(page)
    page.locator('[id$="units"] .tab-nav > button', has_text="Unit 2").first.click()
    enabled = part(page, "enabled", unit=2).locator("input")
    assert not enabled.is_checked()
    drop(page, unit=2)
    assert enabled.is_checked()
    set_number(page, "weight", 0.5, unit=2)
    tab = page.locator("#script_txt2img_instantstyle_units .tab-nav > button").nth(1)
    assert wait_until(page, lambda: "instantstyle-on" in tab.get_attribute("class"))
