"""The status under a slow WebUI: it is asked one question at a time, and ends with the last one."""

from __future__ import annotations

import json

from tests.browser.person import (
    SECONDS,
    drop,
    open_accordion,
    part,
    set_choice,
    settle,
    status,
    wait_until,
)
from tests.units import PAGE_FIELDS


def test_a_late_answer_is_not_the_last_word(page):
    open_accordion(page)
    drop(page)
    status(page).wait_for(state="visible")
    set_choice(page, "preset", "style+layout")
    slider = part(page, "layout_weight")
    slider.wait_for(state="visible")
    settle(page, quiet=SECONDS)  # whatever else the page asks is answered
    # The page gives up an answer after ten seconds, which a slow machine needs to choose.
    page.evaluate("() => { const now = Date.now(); Date.now = () => now; }")

    questions, held = [], []

    def hold_the_first(route):
        if len(json.loads(route.request.post_data or "{}").get("data", [])) < len(PAGE_FIELDS):
            return route.continue_()
        questions.append(route)
        return held.append(route) if len(questions) == 1 else route.continue_()

    page.route("**/run/predict*", hold_the_first)
    set_choice(page, "preset", "style")
    assert wait_until(page, lambda: held)
    set_choice(page, "preset", "style+layout")
    page.wait_for_timeout(SECONDS)
    assert len(questions) == 1
    held.pop().continue_()
    assert wait_until(page, lambda: len(questions) == 2)
    assert questions[1].request.response().ok
    assert wait_until(page, slider.is_visible)
    page.wait_for_timeout(SECONDS)
    assert wait_until(page, slider.is_visible)
    assert len(questions) == 2
