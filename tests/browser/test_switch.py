"""Folding changes nothing, dropping switches on, and the title says what will act."""

from __future__ import annotations

import pytest

from tests.browser.conftest import shoot
from tests.browser.person import (
    drop,
    fold,
    generate,
    open_accordion,
    open_advanced,
    paste_infotext,
    pixels,
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

pytestmark = pytest.mark.usefixtures("sdxl")


def title(page, tab="txt2img"):
    return script_part(page, "enabled", tab).locator(".label-wrap").first.inner_text()


def generate_with_seed(page, seed):
    """With another one than before, so that the answer can be told from the last one."""
    field = page.locator("#txt2img_seed input[type=number]").first
    field.fill(str(seed))
    field.press("Tab")
    return generate(page)


def test_a_dropped_picture_switches_on_and_folding_changes_nothing(page):
    small(page)
    unfold(page)
    drop(page)
    assert wait_until(page, lambda: title_tick(page).is_checked())
    info, error = generate(page)
    assert error == "" and "InstantStyle 1" in info
    styled = pixels(page)
    fold(page)
    assert title_tick(page).is_checked()
    info, error = generate_with_seed(page, 8)
    assert error == "" and "InstantStyle 1" in info
    generate_with_seed(page, 7)
    assert pixels(page) == styled
    unfold(page)
    title_tick(page).uncheck()
    fold(page)
    unfold(page)
    assert not title_tick(page).is_checked()
    info, _ = generate_with_seed(page, 9)
    assert "InstantStyle" not in info


def test_the_title_says_what_will_act(page):
    unfold(page)
    assert title(page).startswith("InstantStyle") and "(" not in title(page)
    drop(page)
    set_number(page, "weight", 0.8)
    assert wait_until(page, lambda: "(1) coffee 0.8" in title(page)), title(page)
    fold(page)
    assert "(1) coffee 0.8" in title(page)
    shoot(page, "folded")
    unfold(page)
    tick(page, "enabled", False)
    assert wait_until(page, lambda: "coffee" not in title(page)), title(page)
    tick(page, "enabled")
    title_tick(page).uncheck()
    assert wait_until(page, lambda: "off: (1) coffee 0.8" in title(page)), title(page)


def test_pasted_infotext_switches_on_and_stays_after_folding(page):
    small(page)
    open_accordion(page)
    drop(page)
    info, _ = generate(page)
    title_tick(page).uncheck()
    fold(page)
    title_tick(page).check()
    page.wait_for_timeout(500)  # for an opening that must not come
    assert not zone(page).is_visible()
    title_tick(page).uncheck()
    paste_infotext(page, info.replace("Seed: 7", "Seed: 8"))
    assert wait_until(page, lambda: title_tick(page).is_checked())
    zone(page).wait_for(state="visible")
    fold(page)
    again, error = generate(page)
    assert error == "" and "InstantStyle 1: " in again


def test_choosing_a_preset_takes_own_weights_back(page):
    open_accordion(page)
    status(page).wait_for()
    open_advanced(page)
    set_text(page, "blocks", "6=0.5")
    set_choice(page, "preset", "style+layout")
    assert wait_until(page, lambda: text_of(page, "blocks") == "")
