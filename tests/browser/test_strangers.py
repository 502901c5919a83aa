"""Two people at the page of a WebUI that strangers may use; each has a browser of his own."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import PATIENCE, open_page, shoot
from tests.browser.person import (
    STARS,
    box,
    drop,
    generate,
    open_accordion,
    part,
    paste_infotext,
    script_part,
    small,
    wait_until,
)
from tests.webui.client import Client
from tests.webui.server import miniature

NOT_YOURS = "is not handed out on a public address"


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """The address of a WebUI that is told to serve others, though only this machine reaches it."""
    with miniature(tmp_path_factory.mktemp("public"), "--server-name", "127.0.0.1") as url:
        yield url


@pytest.fixture
def people(chromium, public):
    """A page for each of two people."""
    size = {"width": 1500, "height": 1200}
    contexts = [chromium.browser.new_context(viewport=size) for _ in range(2)]
    for context in contexts:
        context.set_default_timeout(PATIENCE)
    pages = [context.new_page() for context in contexts]
    for page in pages:
        open_page(page, public)
    yield pages
    for context in contexts:
        context.close()


def notice(page):
    return script_part(page, "notice").inner_text()


def dropped_and_generated(page):
    """What the picture's infotext says, and the reference as it was sent."""
    small(page)
    open_accordion(page)
    drop(page)
    sent = box(page).input_value()
    info, error = generate(page)
    assert error == ""
    return info, sent


def test_a_kept_reference_comes_back_to_who_sent_it_and_to_nobody_else(people, public):
    sender, stranger = people
    info, sent = dropped_and_generated(sender)
    digest = re.search(r"reference: (\w{12})", info)[1]
    open_accordion(stranger)
    drop(stranger, STARS)
    paste_infotext(stranger, info)
    assert wait_until(stranger, lambda: NOT_YOURS in notice(stranger))
    assert f"reference {digest} of unit 1 {NOT_YOURS}: drop the picture again" in notice(stranger)
    stranger.wait_for_timeout(1500)  # for what comes after the paste
    assert (
        box(stranger).input_value() == f"gone:{digest}"
    )  # neither the sender's picture nor his own old one
    shoot(stranger, "stranger-pastes")
    drop(sender, STARS, on=part(sender, "reference").locator(".instantstyle-preview").first)
    paste_infotext(sender, info)
    assert wait_until(sender, lambda: box(sender).input_value() == sent)
    assert wait_until(sender, lambda: notice(sender) == "")
    open_page(sender, public)  # the same tab: it still has its number
    sender.evaluate("switch_to_img2img()")
    paste_infotext(sender, info, "img2img")
    assert wait_until(sender, lambda: box(sender, tab="img2img").input_value() == sent)
    # A request that knows nothing but the hash gets neither the picture nor anything made of it.
    tab = "txt2img"
    answer = Client(public).post(f"/sdapi/v1/{tab}", {"infotext": info})
    assert answer.status_code == 422 and digest in answer.json()["detail"]


def test_the_library_is_used_and_not_changed(people, public):
    _, page = people
    open_accordion(page)
    part(page, "styles").locator(".label-wrap").first.click()
    buttons = ("style_save", "style_rename", "style_delete")
    part(page, "style_forbidden").wait_for(state="visible")
    assert "may be strangers" in part(page, "style_forbidden").inner_text()
    for name in buttons:
        assert part(page, name).is_disabled()
    assert part(page, "style_export").is_enabled()
    shoot(page, "stranger-library")
