"""The accordion has the same room here as in a real WebUI, which can be asked the same."""

import pytest

from tests.browser.person import open_accordion, open_advanced, script_part, settle

pytestmark = pytest.mark.usefixtures("sdxl")

UNIT = "#script_txt2img_instantstyle_unit_1"
ACCORDION = "#script_txt2img_instantstyle_enabled"
# Measured in A1111 1.10.1 and in Forge, whose page has 16 pixels more at each side.
WIDTHS = {1500: (700, 684), 700: (616, 584)}
STYLES = {
    "#txt2img_settings": {"padding": "0px", "row-gap": "2.8px"},
    "div.accordions": {"column-gap": "7px"},
    "#txt2img_generate": {"min-height": "72px"},
    ACCORDION: {"padding": "8px", "margin": "2px 0px", "border-width": "1px"},
    f"{ACCORDION} > .label-wrap > span": {"font-size": "16px"},
    f"{ACCORDION} .input-accordion-checkbox": {"margin-right": "8px"},
    f"{UNIT}": {"padding": "10px 12px"},
    f"{UNIT} .gap": {"row-gap": "1px"},
    f"{UNIT}_preset": {"padding": "0px", "border-width": "0px", "font-size": "14px"},
    f"div.form:has(> {UNIT}_preset)": {"row-gap": "7px", "border-width": "0px"},
    f"{UNIT}_weight": {"padding": "0px"},
    f"{UNIT}_weight input[type=number]": {"width": "84px", "font-size": "14px"},
    f"{UNIT}_weight [data-testid=block-info]": {"font-size": "14px", "margin-bottom": "8px"},
    f"{UNIT}_content": {"padding": "0px"},
    f"{UNIT}_content :is(textarea, input)": {"padding": "10px", "font-size": "14px"},
    f"{UNIT}_enabled": {"margin": "10.5px 21px 0px 0px", "padding": "0px"},
    f"{UNIT}_advanced": {"padding": "8px", "border-width": "1px"},
    f"{UNIT}_advanced > .label-wrap > span": {"font-size": "16px"},
    "#paste": {"width": "35.2px", "height": "38.4px", "font-size": "16px"},
}
READ = """([selector, names]) => {
    const style = getComputedStyle(document.querySelector(selector));
    const rounded = text => text.replace(/[\\d.]+/g, number => Number(Number(number).toFixed(1)));
    return Object.fromEntries(names.map(name => [name, rounded(style.getPropertyValue(name))]));
}"""


def test_the_accordion_is_as_wide_and_as_padded_as_in_a_real_webui(page):
    open_accordion(page)
    open_advanced(page)
    settle(page)
    found = {name: page.evaluate(READ, [name, list(style)]) for name, style in STYLES.items()}
    assert found == STYLES
    for window, widths in WIDTHS.items():
        page.set_viewport_size({"width": window, "height": 1200})
        settle(page)
        width = script_part(page, "enabled").bounding_box()["width"]
        assert any(abs(width - expected) < 2 for expected in widths), (window, width)
        results = page.locator("#txt2img_results").bounding_box()
        assert abs(results["width"] - width) < 2
        # Beside it where there is room for both.
        beside = results["x"] > width
        assert beside == (window > 1000)
