"""The state of a unit with its repair, and the advice under a result."""

from __future__ import annotations

import pytest

from tests.browser.conftest import shoot
from tests.browser.person import (
    box,
    drop,
    generate,
    number_box,
    open_accordion,
    open_advanced,
    paste_infotext,
    script_part,
    set_choice,
    set_number,
    set_text,
    small,
    status,
    text_of,
    tick,
    title_tick,
    unfold,
    wait_until,
    zone,
)
from tests.webui.client import reference

pytestmark = pytest.mark.usefixtures("sdxl")


def is_state(page, kind, unit=1, tab="txt2img"):
    return wait_until(
        page, lambda: status(page, tab, unit).get_attribute("data-state") == kind
    ), status(page, tab, unit).inner_text()


def repair(page, unit=1):
    return status(page, unit=unit).locator(".instantstyle-repair")


def advice(page, title, tab="txt2img"):
    return page.locator(f"#instantstyle_advice_{tab} button", has_text=title).first


def test_a_unit_goes_from_state_to_state(page):
    unfold(page)
    status(page).wait_for()
    assert is_state(page, "empty")[0]
    drop(page)
    assert is_state(page, "ready")[0]
    title_tick(page).uncheck()
    assert is_state(page, "off")[0]
    shoot(page, "state-off")
    repair(page).click()
    assert wait_until(page, lambda: title_tick(page).is_checked())
    assert is_state(page, "ready")[0]
    tick(page, "enabled", False)
    assert is_state(page, "off")[0]
    repair(page).click()
    assert is_state(page, "ready")[0]
    set_number(page, "weight", 0)
    assert is_state(page, "idle")[0]
    repair(page).click()
    assert wait_until(page, lambda: number_box(page, "weight").input_value() == "1")
    assert is_state(page, "ready")[0]
    zone(page).locator(".instantstyle-clear").click()
    assert is_state(page, "empty")[0]


def test_a_conflict_is_mended_by_its_button(page):
    open_accordion(page)
    drop(page)
    open_advanced(page)
    set_choice(page, "adapter", "ip-adapter_sd15")
    assert is_state(page, "conflict")[0]
    shoot(page, "state-conflict")
    repair(page).click()
    assert wait_until(page, lambda: text_of(page, "adapter") == "auto")
    assert is_state(page, "ready")[0]
    set_text(page, "blocks", "no_block=1")
    assert is_state(page, "conflict")[0]
    assert page.locator("#script_txt2img_instantstyle_unit_1_map .instantstyle-cell").count()
    repair(page).click()
    assert wait_until(page, lambda: text_of(page, "blocks") == "")
    assert is_state(page, "ready")[0]
    drop(page, on=zone(page).locator(".instantstyle-hint"))
    set_choice(page, "method", "stylealigned")
    assert is_state(page, "conflict")[0]
    shoot(page, "state-two-pictures")
    assert repair(page).inner_text() == "Keep the first picture alone"
    repair(page).click()
    assert wait_until(page, lambda: zone(page).locator(".instantstyle-picture").count() == 1)
    assert is_state(page, "ready")[0]


def test_a_pasted_reference_that_is_gone_is_never_another(page, client):
    small(page)
    open_accordion(page)
    drop(page)
    info = client.generate({"image": reference(), "weight": 0.5}).infotexts[0]
    gone = info.replace(info.split("reference: ")[1][:12], "0123456789ab")
    paste_infotext(page, gone)
    assert wait_until(page, lambda: number_box(page, "weight").input_value() == "0.5")
    assert wait_until(page, lambda: box(page).input_value() == "gone:0123456789ab")
    sentence = "The picture 0123456789ab of the infotext is not here"
    assert wait_until(page, lambda: sentence in zone(page).inner_text())
    title = script_part(page, "enabled").locator(".label-wrap").first
    assert wait_until(page, lambda: "reference missing" in title.inner_text())
    assert is_state(page, "conflict")[0]
    shoot(page, "state-gone")
    _, error = generate(page)
    assert "image is the picture '0123456789ab' of an infotext" in error
    drop(page)
    assert zone(page).locator(".instantstyle-picture").count() == 1
    assert is_state(page, "ready")[0]
    _, error = generate(page)
    assert error == ""


def test_advice_changes_the_settings_says_so_and_is_undone(page):
    small(page)
    open_accordion(page)
    drop(page)
    generate(page)
    button = advice(page, "Style too weak")
    button.wait_for(state="visible")
    shoot(page, "advice")
    button.click()
    bar = page.locator("#instantstyle_advice_txt2img")
    assert wait_until(page, lambda: "“Style weight” 1 → 1.25" in bar.inner_text())
    assert wait_until(page, lambda: number_box(page, "weight").input_value() == "1.25")
    shoot(page, "advised")
    bar.locator("button", has_text="Undo").click()
    assert wait_until(page, lambda: number_box(page, "weight").input_value() == "1")
    button.click()
    undo = bar.locator("button", has_text="Undo")
    assert wait_until(page, lambda: undo.count() == 1)
    paste_infotext(page, page.locator("#html_info_txt2img").last.inner_text())
    assert wait_until(page, lambda: undo.count() == 0)  # it would undo what was pasted
    advice(page, "Nothing changed").click()
    assert wait_until(page, lambda: "will be measured" in bar.inner_text())
    page.locator("#txt2img_seed input[type=number]").first.fill("8")
    info, error = generate(page)
    assert error == "" and "InstantStyle 1 effect" in info


def test_a_plain_picture_has_no_advice(page):
    small(page)
    generate(page)
    page.wait_for_timeout(500)
    assert page.locator("#instantstyle_advice_txt2img button").count() == 0
