"""What each reference gives, chosen on the picture itself."""

from __future__ import annotations

import json

import pytest

from tests.browser.conftest import shoot
from tests.browser.person import (
    STARS,
    box,
    drop,
    generate,
    open_accordion,
    open_advanced,
    set_choice,
    small,
    text_of,
    wait_until,
    zone,
)

pytestmark = pytest.mark.usefixtures("sdxl")


def roles(page):
    read = "zone => Array.from(zone.querySelectorAll('select'), list => list.value)"
    return zone(page).evaluate(read)


def test_colours_of_one_and_texture_of_the_other(page):
    small(page)
    open_accordion(page)
    drop(page)
    assert wait_until(page, lambda: roles(page) == ["both"])
    drop(page, STARS, on=zone(page).locator(".instantstyle-hint"))
    assert wait_until(page, lambda: roles(page) == ["both", "both"])
    before = [each["image"] for each in json.loads(box(page).input_value())]
    zone(page).locator("select").nth(1).select_option("colour")
    assert wait_until(page, lambda: text_of(page, "combine") == "colour + texture")
    # The one with the colours comes first.
    after = [each["image"] for each in json.loads(box(page).input_value())]
    assert after == before[::-1]
    assert wait_until(page, lambda: roles(page) == ["colour", "texture"])
    shoot(page, "roles")
    info, error = generate(page)
    assert error == "" and "combine: colour + texture" in info
    zone(page).locator("select").nth(0).select_option("both")
    assert wait_until(page, lambda: text_of(page, "combine") == "concat")
    assert wait_until(page, lambda: roles(page) == ["both", "both"])


def test_one_side_of_a_single_picture(page):
    open_accordion(page)
    drop(page)
    assert wait_until(page, lambda: roles(page) == ["both"])
    zone(page).locator("select").select_option("texture")
    assert wait_until(page, lambda: text_of(page, "combine") == "texture")
    open_advanced(page)
    set_choice(page, "combine", "colour")
    assert wait_until(page, lambda: roles(page) == ["colour"])
    drop(page, STARS, on=zone(page).locator(".instantstyle-hint"))
    drop(page, STARS, on=zone(page).locator(".instantstyle-hint"))
    assert wait_until(page, lambda: roles(page) == [])  # sides are for one or two pictures
    set_choice(page, "combine", "concat")
    set_choice(page, "method", "swap")
    zone(page).locator(".instantstyle-clear").first.click()
    assert wait_until(page, lambda: roles(page) == [])
