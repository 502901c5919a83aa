"""From the first look to the picture: generate, read, restore, send on."""

import json
import re

import numpy as np
import pytest

from tests.browser.conftest import SCREENSHOTS, open_page, shoot, shoot_for_docs
from tests.browser.person import (
    box,
    choose_unit,
    comments,
    drop,
    generate,
    number_box,
    open_accordion,
    open_advanced,
    part,
    paste_infotext,
    pixels,
    script_part,
    set_choice,
    set_number,
    settle,
    small,
    text_of,
    tick,
    title_tick,
    unfold,
    wait_until,
    zone,
)
from tests.webui.client import difference, reference

pytestmark = pytest.mark.usefixtures("sdxl")


def test_a_picture_is_dropped_and_its_style_is_in_the_result(page, client):
    small(page)
    generate(page)
    plain = pixels(page)
    open_accordion(page)
    shoot(page, "accordion-empty")
    drop(page)
    shoot(page, "accordion")
    info, error = generate(page)
    assert error == ""
    assert "InstantStyle 1" in info and "reference: " in info
    styled = pixels(page)
    assert styled != plain
    shoot(page, "result")
    # The page and the API make the same picture of the same reference.
    sampler = re.search(r"Sampler: ([^,]+)", info).group(1)
    answer = client.generate({"image": reference()}, sampler_name=sampler, negative_prompt="")
    from_api = answer.images[0].reshape(-1, 3)
    from_page = [styled[i : i + 3] for i in range(0, len(styled), 4)]
    assert difference(from_api, np.array(from_page)) < 1
    assert answer.infotexts[0].split("InstantStyle 1")[1] == info.split("InstantStyle 1")[1]


def test_every_control_reaches_the_generation(page):
    small(page)
    open_accordion(page)
    drop(page)
    open_advanced(page)
    set_number(page, "weight", 0.7)
    set_number(page, "end", 0.8)
    set_choice(page, "preset", "style+layout")
    set_choice(page, "time_curve", "falling")
    part(page, "adapter_refresh").click()
    info, error = generate(page)
    assert error == ""
    for text in ("preset: style+layout", "weight: 0.7", "end: 0.8", "time_curve: falling"):
        assert text in info


def test_opening_the_accordion_switches_nothing_on(page):
    small(page)
    unfold(page)
    assert not title_tick(page).is_checked()
    info, error = generate(page)
    assert error == "" and "InstantStyle" not in info and "InstantStyle" not in comments(page)


def test_on_and_otherwise_untouched_makes_a_picture_and_is_told(page):
    small(page)
    open_accordion(page)
    info, error = generate(page)
    sentence = "Unit 1 is on but has no reference: drop a picture or untick InstantStyle."
    assert error == "" and "InstantStyle 1: " not in info
    assert "InstantStyle 1 note: " in info and sentence in info and sentence in comments(page)
    shoot(page, "only-looked")


def test_on_without_a_reference_is_said_and_makes_no_picture(page):
    small(page)
    open_accordion(page)
    set_number(page, "weight", 0.7)
    _, error = generate(page)
    sentence = "Unit 1 is on but has no reference: drop a picture or untick InstantStyle."
    assert sentence in error
    shoot(page, "no-reference")
    drop(page)
    info, error = generate(page)
    assert error == "" and "InstantStyle 1" in info


def test_infotext_pasted_after_a_reload_restores_every_unit_into_its_tab(page, webui, client):
    one = {"image": reference(), "preset": "layout", "weight": 0.55, "start": 0.1}
    three = {"image": reference("deep_field.jpg"), "content": "stars, bright", "weight": 0.4}
    infotext = client.generate(one, {"enabled": False}, three).infotexts[0]
    open_page(page, webui)
    paste_infotext(page, infotext)
    assert wait_until(page, lambda: number_box(page, "weight").input_value() == "0.55")
    assert number_box(page, "start").input_value() == "0.1"
    assert text_of(page, "preset") == "layout"
    assert number_box(page, "weight", unit=3).input_value() == "0.4"
    assert text_of(page, "content", unit=3) == "stars, bright"
    on = [part(page, "enabled", unit=n).locator("input").is_checked() for n in (1, 2, 3)]
    assert on == [True, False, True]
    switch = script_part(page, "enabled-checkbox").locator("input")
    assert switch.is_checked()
    zone(page, unit=1).wait_for(state="visible")  # pasting has opened the accordion
    choose_unit(page, 3)
    shoot(page, "pasted")
    paste_infotext(page, "a cat\nSteps: 3, Seed: 7, Size: 64x64")
    assert wait_until(page, lambda: not switch.is_checked())


def test_the_effect_in_each_block_is_drawn_under_the_picture(page):
    small(page)
    open_accordion(page)
    drop(page)
    set_choice(page, "preset", "style+layout")
    open_advanced(page)
    tick(page, "report")
    info, error = generate(page)
    assert error == "" and "InstantStyle 1 effect: " in info
    chart = page.locator("#instantstyle_effect_txt2img")
    chart.wait_for(state="visible")
    blocks = chart.locator(".instantstyle-effect-row span:first-child").all_inner_texts()
    assert blocks == ["Unit 1 down_blocks.2.attentions.1", "Unit 1 up_blocks.0.attentions.1"]
    widths = [
        bar.bounding_box()["width"] for bar in chart.locator(".instantstyle-effect-bar").all()
    ]
    written = [float(share) for share in re.findall(r"attentions\.1 ([\d.e-]+)", info)]
    assert abs(widths[0] / widths[1] - written[0] / written[1]) < 0.05
    marked = part(page, "map").locator(".instantstyle-cell:has(.instantstyle-measured)")
    assert [each.get_attribute("data-index") for each in marked.all()] == ["3", "6"]
    shoot(page, "effect")
    tick(page, "report", False)
    generate(page)
    assert wait_until(page, lambda: not chart.count())


def test_img2img_has_its_own_accordion(page):
    page.locator("#tabs button", has_text="img2img").first.click()
    open_accordion(page, "img2img")
    drop(page, tab="img2img")
    assert box(page, tab="img2img").input_value() != ""
    assert box(page).input_value() == ""
    shoot(page, "img2img")


def test_send_to_img2img_takes_settings_and_reference_along(page):
    small(page)
    open_accordion(page)
    drop(page)
    choose_unit(page, 2)
    drop(page, unit=2)
    set_number(page, "weight", 0.7, unit=2)
    generate(page)
    page.locator("#txt2img_send_to_img2img").first.click()
    sent = number_box(page, "weight", "img2img", unit=2)
    assert wait_until(page, lambda: sent.input_value() == "0.7")
    switch = script_part(page, "enabled-checkbox", "img2img").locator("input")
    assert wait_until(page, switch.is_checked)
    for unit in (1, 2):
        had = box(page, unit=unit).input_value()
        there = box(page, tab="img2img", unit=unit)
        assert wait_until(page, lambda there=there, had=had: there.input_value() == had != "")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_in_either_theme_at_either_width(empty_tab, webui, theme):
    page = empty_tab
    open_page(page, f"{webui}/?__theme={theme}")
    open_accordion(page)
    drop(page)
    set_choice(page, "preset", "style+layout")
    part(page, "layout_weight").wait_for(state="visible")
    settle(page)
    accordion = script_part(page, "enabled")
    shoot_for_docs(accordion, f"page-{theme}")
    open_advanced(page)
    for width in (1500, 700):
        page.set_viewport_size({"width": width, "height": 1200})
        assert wait_until(page, lambda width=width: accordion.bounding_box()["width"] < width)
        settle(page)
        accordion.screenshot(path=SCREENSHOTS / f"accordion-{theme}-{width}.png")
        assert_nothing_is_cut(page, accordion)


def assert_nothing_is_cut(page, accordion):
    outer = accordion.bounding_box()
    visible = page.evaluate(
        """root => Array.from(root.querySelectorAll(
            "input, button, textarea, .instantstyle-track, .instantstyle-status, img"
        )).filter(e => e.offsetParent && e.type !== "file").map(e => {
            const b = e.getBoundingClientRect();
            return [e.id || e.className, b.left, b.right, b.width];
        })""",
        accordion.element_handle(),
    )
    assert len(visible) > 40
    for name, left, right, w in visible:
        assert left >= outer["x"] - 1 and right <= outer["x"] + outer["width"] + 1, name
        assert w >= 10, name
    for name in ("reference", "preset", "weight", "start", "end", "adapter", "blocks"):
        assert part(page, name).bounding_box()["width"] > 100, name


def test_nothing_of_ours_is_saved_twice_or_leaks_into_the_defaults(webui, client):
    """The reference box must not end up in ui-config.json: it may hold megabytes."""
    assert json.dumps(client.get("/sdapi/v1/script-info")).count('"InstantStyle"') == 2
