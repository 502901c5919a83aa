"""axe finds nothing of ours in the accordion: in the light theme with SDXL, in the dark with SD1.5.

What the WebUI's own markup brings along stands in `OF_THE_WEBUI`, by rule and selector.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import open_page, shoot
from tests.browser.person import (
    STARS,
    drop,
    open_accordion,
    open_advanced,
    open_regions,
    part,
    script_part,
    set_text,
    settle,
    status,
    wait_until,
)

OF_THE_WEBUI = [  # (rule, selector, why we cannot help it)
    ("label", "input.input-accordion-checkbox", "the WebUI puts it into the title without a label"),
    ("nested-interactive", "button.label-wrap", "Gradio 4 makes a button of the title around it"),
    ("label", ".gradio-slider input[type=number]", "Gradio 3 labels the slider, not its number"),
    ("target-size", ".gradio-slider input[type=range]", "Gradio 4's sliders are 4 pixels high"),
    ("color-contrast", ".tab-nav > button:not(.selected)", "Gradio's pale names of closed tabs"),
    ("aria-allowed-role", ".gradio-dropdown input[role=listbox]", "Gradio 4's drop-down lists"),
]
ACCORDION = "#script_txt2img_instantstyle_enabled"
OPTIONS = {
    "resultTypes": ["violations"],
    "rules": {"target-size": {"enabled": True}},  # new in WCAG 2.2: axe leaves it out if not asked
}
MATCHES = "([target, selector]) => document.querySelector(target).matches(selector)"


def findings(page):
    """(rule, selector of the element, its markup, what axe says) of all in the accordion."""
    found = Axe().run(page, ACCORDION, OPTIONS).response
    assert {"button-name", "target-size"} <= {rule["id"] for rule in found["passes"]}
    return [
        (rule["id"], node["target"][0], node["html"][:150], node["failureSummary"])
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def is_of_the_webui(page, rule, target):
    return any(
        rule == excused and page.evaluate(MATCHES, [target, selector])
        for excused, selector, _ in OF_THE_WEBUI
    )


def ours(page):
    page.mouse.move(0, 0)  # no colours of what the mouse is over
    settle(page)
    return [found for found in findings(page) if not is_of_the_webui(page, *found[:2])]


def unfold_all(page):
    """Each part that a unit and the accordion fold away, with something in it."""
    open_advanced(page)
    open_regions(page)
    part(page, "mask_drop").get_by_text("Draw the region").click()
    part(page, "styles").locator(".label-wrap").first.click()
    part(page, "style_name").wait_for(state="visible")
    script_part(page, "downloads").locator(".label-wrap").first.click()
    page.locator(f"{ACCORDION} .instantstyle-download").first.wait_for(state="visible")


@pytest.mark.parametrize("theme, family", [("light", "tiny_sdxl"), ("dark", "tiny_sd15")])
def test_axe_finds_nothing_of_ours(client, empty_tab, webui, theme, family):
    client.options(sd_model_checkpoint=f"{family}.safetensors")
    page = empty_tab
    open_page(page, f"{webui}/?__theme={theme}")
    open_accordion(page)
    assert ours(page) == []  # an empty box
    drop(page)
    unfold_all(page)
    drop(page, name="mask")
    set_text(page, "blocks", "6=0.5")
    assert wait_until(page, lambda: part(page, "map").get_by_text("Back to the preset").count())
    assert ours(page) == []
    drop(page, STARS)  # each with a weight
    set_text(page, "blocks", "no_block=1")
    assert wait_until(page, lambda: "no_block" in status(page).inner_text())
    for width in (1500, 700):
        page.set_viewport_size({"width": width, "height": 1200})
        assert ours(page) == []
    shoot(page, f"accessibility-{theme}")
