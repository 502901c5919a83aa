"""Presets as cards above the block map."""

from __future__ import annotations

import pytest

from tests.browser.conftest import shoot
from tests.browser.person import (
    drop,
    generate,
    open_accordion,
    open_advanced,
    part,
    set_choice,
    set_text,
    small,
    text_of,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("sdxl")
USUAL = ["style", "style+layout", "style precise", "original"]


def row(page):
    return page.locator(
        '.instantstyle-cards[data-status="script_txt2img_instantstyle_unit_1_status"]'
    )


def cards(page):
    return row(page).locator("button.instantstyle-card")


def names(page):
    return cards(page).all_inner_texts()


def chosen(page):
    return row(page).locator('button[aria-pressed="true"]').all_inner_texts()


def weights(page):
    """By block, those that are not 0."""
    cells = "Array.from(map.querySelectorAll('.instantstyle-cell'), cell => cell.dataset)"
    found = part(page, "map").evaluate(f"map => {cells}.map(data => [data.index, data.weight])")
    return {index: float(weight) for index, weight in found if float(weight)}


def test_a_card_sets_the_preset_and_takes_own_weights_back(page):
    small(page)
    open_accordion(page)
    drop(page)
    assert wait_until(page, lambda: names(page) == USUAL and chosen(page) == ["style"])
    cards(page).nth(1).click()
    assert wait_until(page, lambda: text_of(page, "preset") == "style+layout")
    assert wait_until(page, lambda: weights(page) == {"3": 1, "6": 1})
    assert wait_until(page, lambda: chosen(page) == ["style+layout"])
    open_advanced(page)
    set_text(page, "blocks", "3:0.4; 8:1")
    own = row(page).locator(".instantstyle-card-own")
    assert wait_until(page, lambda: own.count() == 1 and chosen(page) == [])
    shoot(page, "cards")
    cards(page).nth(0).click()
    assert wait_until(page, lambda: text_of(page, "blocks") == "")
    assert text_of(page, "preset") == "style"
    assert wait_until(page, lambda: weights(page) == {"6": 1} and own.count() == 0)
    info, error = generate(page)
    assert error == "" and "blocks" not in info


def test_another_preset_has_a_card_while_it_is_chosen(page):
    open_accordion(page)
    drop(page)
    assert wait_until(page, lambda: names(page) == USUAL)
    set_choice(page, "preset", "layout")
    assert wait_until(page, lambda: names(page) == [*USUAL, "layout"])
    assert chosen(page) == ["layout"]
    cards(page).nth(0).focus()
    page.keyboard.press("Enter")
    assert wait_until(page, lambda: names(page) == USUAL and chosen(page) == ["style"])


def test_a_method_without_presets_has_no_cards(page):
    open_accordion(page)
    drop(page)
    assert wait_until(page, lambda: names(page) == USUAL)
    set_choice(page, "method", "swap")
    assert wait_until(page, lambda: not cards(page).first.is_visible())
