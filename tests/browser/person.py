"""What a person does at the page: open, drop, type, generate, read. For Gradio 3.41 and 4.40."""

from __future__ import annotations

import base64
import re
import time
from contextlib import contextmanager

from tests.waiting import HANGS
from tests.webui.client import PICTURES

COFFEE = PICTURES / "coffee.jpg"
STARS = PICTURES / "deep_field.jpg"
SECONDS = 1000


def script_part(page, name, tab="txt2img"):
    """A part of the accordion that all units share."""
    # Gradio 3.41 gives the id of an HTML component to two nested elements.
    return page.locator(f"#script_{tab}_instantstyle_{name}").first


def part(page, name, tab="txt2img", unit=1):
    return script_part(page, f"unit_{unit}_{name}", tab)


def zone(page, name="image", tab="txt2img", unit=1):
    target = f"script_{tab}_instantstyle_unit_{unit}_{name}"
    return page.locator(f'.instantstyle-drop[data-target="{target}"]').first


def box(page, name="image", tab="txt2img", unit=1):
    """The hidden text box of a picture."""
    return part(page, name, tab, unit).locator("textarea")


def status(page, tab="txt2img", unit=1):
    return part(page, "status", tab, unit).locator(".instantstyle-status").first


def cell(page, index, tab="txt2img", unit=1):
    """One block of the map."""
    block_map = part(page, "map", tab, unit)
    return block_map.locator(f'.instantstyle-cell[data-index="{index}"]').first


def open_accordion(page, tab="txt2img"):
    unfold(page, tab)
    title_tick(page, tab).check()


def unfold(page, tab="txt2img"):
    """Open the accordion, which switches nothing on."""
    script_part(page, "enabled", tab).locator(".label-wrap").first.click()
    zone(page, tab=tab).wait_for(state="visible")


def fold(page, tab="txt2img"):
    script_part(page, "enabled", tab).locator(".label-wrap").first.click()
    zone(page, tab=tab).wait_for(state="hidden")


def title_tick(page, tab="txt2img"):
    return page.locator(f"#script_{tab}_instantstyle_enabled-visible-checkbox")


def open_advanced(page, tab="txt2img", unit=1):
    part(page, "advanced", tab, unit).locator(".label-wrap").first.click()
    part(page, "adapter", tab, unit).wait_for(state="visible")


def open_regions(page, tab="txt2img", unit=1):
    part(page, "regions", tab, unit).locator(".label-wrap").first.click()
    zone(page, "mask", tab, unit).wait_for(state="visible")


def choose_unit(page, number, tab="txt2img"):
    units = script_part(page, "units", tab)
    units.get_by_role("tab", name=f"Unit {number}").or_(
        units.locator(".tab-nav > button", has_text=f"Unit {number}")
    ).first.click()
    zone(page, tab=tab, unit=number).wait_for(state="visible")


def tick(page, name, ticked=True, tab="txt2img", unit=1):
    part(page, name, tab, unit).locator("input[type=checkbox]").set_checked(ticked)


def number_box(page, name, tab="txt2img", unit=1):
    return part(page, name, tab, unit).locator("input[type=number]").first


def set_number(page, name, value, tab="txt2img", unit=1):
    field = number_box(page, name, tab, unit)
    field.fill(str(value))
    field.press("Tab")


def set_choice(page, name, value, tab="txt2img", unit=1):
    pick(page, part(page, name, tab, unit), value)


def pick(page, dropdown, value):
    """Choose `value` of a list, which may still be filled; typing the value shortens the list."""
    field = dropdown.locator("input").first
    # The chosen one has a tick before it.
    whole = re.compile(rf"^[^\w\[]*{re.escape(value)}\s*$")
    option = dropdown.locator("ul.options li").filter(has_text=whole).first

    def is_offered():
        field.blur()
        field.click()
        field.fill(value)
        page.wait_for_timeout(SECONDS // 2)
        return option.is_visible()

    assert wait_until(page, is_offered)
    option.click()
    assert wait_until(page, lambda: field.input_value() == value)


def set_text(page, name, value, tab="txt2img", unit=1):
    field = part(page, name, tab, unit).locator("textarea, input").first
    field.fill(value)
    field.press("Tab")


def text_of(page, name, tab="txt2img", unit=1):
    return part(page, name, tab, unit).locator("textarea, input").first.input_value()


def settle(page, quiet=500):
    """Wait until nothing has changed on the page for `quiet` milliseconds of its own time.

    A page on which something ticks is given five seconds.
    """
    page.evaluate(
        """quiet => new Promise(resolve => {
            let timer = setTimeout(done, quiet);
            const seen = new MutationObserver(() => {
                clearTimeout(timer);
                timer = setTimeout(done, quiet);
            });
            function done() { seen.disconnect(); resolve(); }
            setTimeout(done, 5000);
            seen.observe(document, {subtree: true, childList: true, characterData: true,
                attributes: true});
        })""",
        quiet,
    )


def wait_until(page, holds, seconds=HANGS):
    """Look again and again until `holds()` does; returns what it was at last."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        page.wait_for_timeout(100)
    return holds()


@contextmanager
def ticking(page):
    """Something changes on the page each tenth of a second, such as a progress bar or a clock."""
    page.evaluate(
        """() => {
            const clock = gradioApp().appendChild(document.createElement("i"));
            window.ticking = setInterval(() => clock.replaceChildren(String(Date.now())), 100);
        }"""
    )
    try:
        yield
    finally:
        page.evaluate("() => clearInterval(window.ticking)")


def small(page, tab="txt2img"):
    """A picture that takes a moment only."""
    for name, value in (("steps", 2), ("width", 64), ("height", 64), ("seed", 7)):
        field = page.locator(f"#{tab}_{name} input[type=number]").first
        field.fill(str(value))
        field.press("Tab")
    prompt(page, tab).fill("a cat on a table")


def prompt(page, tab="txt2img", negative=False):
    return page.locator(f"#{tab}_{'neg_prompt' if negative else 'prompt'} textarea")


def drop(page, path=COFFEE, tab="txt2img", unit=1, name="image", on=None):
    """Drop a file on the zone (or on an element in it), as the mouse would."""
    data = base64.b64encode(path.read_bytes()).decode()
    transfer = page.evaluate_handle(
        """([data, name]) => {
            const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type: "image/jpeg"}));
            return transfer;
        }""",
        [data, path.name],
    )
    target = zone(page, name, tab, unit)
    before = box(page, name, tab, unit).input_value()
    (on or target).dispatch_event("drop", {"dataTransfer": transfer})
    assert wait_until(page, lambda: box(page, name, tab, unit).input_value() != before)
    target.locator(".instantstyle-preview").last.wait_for(state="visible")


def generate(page, tab="txt2img"):
    """Press Generate and wait for the answer; returns (info text, text under it)."""
    # Gradio 3.41 gives an id to two nested elements, the inner one holds the text.
    info, log = (page.locator(f"#html_{name}_{tab}").last for name in ("info", "log"))

    def texts():
        return info.inner_text(), log.inner_text()

    before = texts()
    page.locator(f"#{tab}_generate").click()
    assert wait_until(page, lambda: texts() != before and any(texts())), before
    settle(page)
    error = log.locator(".error")
    return info.inner_text(), error.inner_text() if error.count() else ""


def choose_axis(page, label, tab="txt2img"):
    """Take the X/Y/Z plot with `label` as its X axis; returns the place of the scripts."""
    scripts = page.locator(f"#{tab}_script_container")
    pick(page, scripts.locator("#script_list").first, "X/Y/Z plot")
    x_type = scripts.locator(f"#script_{tab}_xyz_plot_x_type").first
    x_type.wait_for(state="visible")
    pick(page, x_type, label)
    return scripts


def comments(page, tab="txt2img"):
    """What the last generation said beside its picture."""
    said = page.locator(f"#html_log_{tab}").last.locator(".comments")
    return said.inner_text() if said.count() else ""


def paste_infotext(page, text, tab="txt2img"):
    """Put `text` into the prompt and press the arrow."""
    prompt(page, tab).fill(text)
    page.locator(f"#{tab}_tools #paste").click()


def pixels(page, tab="txt2img"):
    """The picture in the gallery: red, green, blue, alpha of each pixel."""
    image = page.locator(f"#{tab}_gallery img").first
    image.wait_for(state="visible")
    return pixels_at(page, image.get_attribute("src"))


def pixels_at(page, url):
    return page.evaluate(
        """async url => {
            const blob = await (await fetch(url)).blob();
            const bitmap = await createImageBitmap(blob);
            const canvas = document.createElement("canvas");
            canvas.width = bitmap.width; canvas.height = bitmap.height;
            const context = canvas.getContext("2d");
            context.drawImage(bitmap, 0, 0);
            return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
        }""",
        url,
    )
