"""No label of the accordion is cut, broken or overlapped, however wide the window is."""

import pytest

from tests.browser.conftest import SCREENSHOTS
from tests.browser.person import (
    choose_unit,
    open_accordion,
    open_advanced,
    script_part,
    settle,
    status,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("sdxl")

WIDTHS = range(700, 1601, 100)
# The fields of all methods at once; the page hides them by what the last status says.
SHOW_ALL = """root => {
    for (const status of root.querySelectorAll(".instantstyle-status[data-map]")) {
        const map = JSON.parse(status.dataset.map), fields = JSON.parse(status.dataset.fields);
        map.sliders = ["layout_weight", "boost"];
        Object.keys(fields).forEach(name => { fields[name] = true; });
        Object.assign(status.dataset, {map: JSON.stringify(map), fields: JSON.stringify(fields)});
    }
    document.dispatchEvent(new Event("instantstyle-changed"));
}"""
HIDDEN = ".instantstyle-unneeded, .instantstyle-empty"
# {sliders, labels, faults}: the labels of fields by their own text, which may be longer than the
# element that holds it.
MEASURE = """root => {
    const shown = e => e.checkVisibility() && e.getBoundingClientRect().width > 0;
    const lines = e => {
        const range = document.createRange();
        range.selectNodeContents(e);
        return Array.from(range.getClientRects()).filter(r => r.width > 0);
    };
    const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
    const labels = Array.from(root.querySelectorAll(
        '[data-testid="block-info"], .gradio-checkbox label > span')).filter(shown);
    const things = Array.from(root.querySelectorAll("input, textarea, button, .wrap-inner"))
        .filter(e => shown(e) && !e.closest(".instantstyle-drop"));
    const outer = root.getBoundingClientRect();
    const faults = [], texts = labels.map(lines);
    let sliders = 0;
    labels.forEach((label, index) => {
        const name = label.textContent.trim();
        const block = label.closest(".block");
        const slider = block.matches(".gradio-slider");
        const tops = new Set(texts[index].map(r => Math.round(r.top)));
        if (slider) sliders += 1;
        const inside = block.getBoundingClientRect();
        label.style.whiteSpace = "nowrap";
        const fits = label.getBoundingClientRect().width <= label.parentElement.clientWidth + 1;
        label.style.whiteSpace = "";
        if (!label.closest(".gradio-checkbox") && tops.size > 1 && fits)
            faults.push(name + ": broken");
        for (const r of texts[index]) {
            if (r.left < inside.left - 1 || r.right > inside.right + 1 || r.right > outer.right + 1)
                faults.push(name + ": cut");
            for (const e of things)
                if (!e.contains(label) && meet(r, e.getBoundingClientRect()))
                    faults.push(name + ": under " + (e.id || e.type || e.className));
            texts.forEach((other, place) => {
                if (place > index && other.some(o => meet(r, o)))
                    faults.push(name + ": under " + labels[place].textContent.trim());
            });
        }
        if (slider) {
            const number = block.querySelector("input[type=number]").getBoundingClientRect();
            if (number.width < 40 || number.right > inside.right + 1)
                faults.push(name + ": its number is cut");
        }
    });
    return {sliders, labels: labels.length, faults: Array.from(new Set(faults))};
}"""


@pytest.mark.parametrize("unit", [1, 2])
def test_every_label_is_whole_at_every_width(page, unit):
    open_accordion(page)
    choose_unit(page, unit)
    open_advanced(page, unit=unit)
    status(page, unit=unit).wait_for()
    settle(page)  # a later status would hide the fields again
    accordion = script_part(page, "enabled")
    accordion.evaluate(SHOW_ALL)
    assert wait_until(page, lambda: accordion.evaluate(f"root => !root.querySelector('{HIDDEN}')"))
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1200})
        assert wait_until(page, lambda width=width: page.evaluate("innerWidth") == width)
        measured = accordion.evaluate(MEASURE)
        assert measured["sliders"] > 18 and measured["labels"] > 34, measured
        found[width] = measured["faults"]
        if unit == 1 and width in (700, 1100, 1600):
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            accordion.screenshot(path=SCREENSHOTS / f"labels-{width}.png")
    assert {width: faults for width, faults in found.items() if faults} == {}
