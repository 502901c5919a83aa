"""The button "Reload UI", pressed three times while another tab is open."""

import re

import pytest

from tests.browser.conftest import PATIENCE, open_page, settled, shoot
from tests.browser.person import drop, generate, open_accordion, pixels, script_part, small

# Ids of ours but those of the controls above cards, which A1111 has twice for each kind of card;
# Gradio 3.41 gives the id of an HTML component to two nested elements.
IDS = """() => Array.from(document.querySelectorAll('[id*="instantstyle"]')).filter(
    e => !e.closest(".extra-network-control") &&
        !e.parentElement.closest('#' + CSS.escape(e.id))).map(e => e.id)"""
AXES = """() => gradio_config.components.filter(
    c => /_xyz_plot_x_type$/.test(c.props.elem_id || "")).map(
    c => c.props.choices.map(choice => String([choice].flat()[0])).filter(
        label => label.includes("[InstantStyle")))"""
FILES = """() => Array.from(document.querySelectorAll("script[src], link[href]")).map(
    e => e.src || e.href).filter(address => /instantstyle/.test(address)).map(
    address => address.split("?")[0])"""


pytestmark = pytest.mark.usefixtures("sdxl")


def look(page):
    """Ids, axes of both tabs of the WebUI, scripts and styles: all of ours on the page."""
    found = [page.evaluate(each) for each in (IDS, AXES, FILES)]
    ids, axes, files = found
    for each in (ids, files, *axes):
        assert len(each) == len(set(each))
    assert len(ids) > 100 and len(axes) == 2 and len(axes[0]) > 30 and len(files) >= 5
    return sorted(ids), axes, sorted(files)


def reload_ui(page):
    page.locator("#tabs > .tab-nav > button", has_text="Settings").click()
    button = page.locator("#settings_restart_gradio")
    button.wait_for(state="visible")
    with page.expect_event("load", timeout=PATIENCE):
        button.click()
    settled(page)


def paint(page):
    """Pixels and our part of the infotext, with the coffee as reference."""
    small(page)
    open_accordion(page)
    drop(page)
    info, error = generate(page)
    assert error == "" and "InstantStyle 1: " in info
    return pixels(page), re.search(r"InstantStyle 1: .*", info)[0]


def test_reloading_the_ui_leaves_nothing_twice(page, webui):
    other = page.context.new_page()
    open_page(other, webui)
    before, painted = look(page), paint(page)
    assert look(other) == before
    for _ in range(3):
        reload_ui(page)
        assert look(page) == before
    open_page(other, webui)
    assert look(other) == before
    assert paint(page) == painted
    assert paint(other) == painted
    assert script_part(page, "enabled").locator(".instantstyle-status").count() >= 1
    shoot(page, "reloaded")
    other.close()
