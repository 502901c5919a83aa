"""A person with the library of styles: save a reference, click its card, generate without it."""

import re

from tests.browser.conftest import open_page, shoot
from tests.browser.person import (
    SECONDS,
    drop,
    generate,
    number_box,
    open_accordion,
    part,
    set_number,
    settle,
    small,
    wait_until,
    zone,
)


def saved(page, name):
    return part(page, "style_message").get_by_text(re.compile(f"Saved as {name}, [0-9,]+ bytes"))


def open_styles(page):
    part(page, "styles").locator(".label-wrap").first.click()
    part(page, "style_name").wait_for(state="visible")


def test_a_style_saved_on_the_page_is_a_card_whose_tag_paints(page, webui):
    small(page)
    open_accordion(page)
    drop(page)
    open_styles(page)
    part(page, "style_name").locator("input, textarea").first.fill("coffee style")
    part(page, "style_save").click()
    saved(page, "coffee style").wait_for()
    part(page, "style_card").locator("img").first.wait_for(state="visible")
    shoot(page, "style-saved")
    part(page, "style_save").click()
    message = part(page, "style_message")
    assert wait_until(page, lambda: "press the button again to replace it" in message.inner_text())
    part(page, "style_save").click()
    saved(page, "coffee style").wait_for()
    info, error = generate(page)  # with the reference, as before
    assert "InstantStyle 1:" in info and not error.strip()

    open_page(page, webui)  # afresh: no reference, the accordion closed
    small(page)
    page.locator("#txt2img_extra_tabs").get_by_role("tab", name="InstantStyle").or_(
        page.locator("#txt2img_extra_tabs > .tab-nav > button", has_text="InstantStyle")
    ).first.click()
    card = page.locator("#txt2img_instantstyle .card", has_text="coffee style").first
    page.locator("#txt2img_instantstyle_extra_refresh").locator("visible=true").first.click()
    card.wait_for(state="visible")
    assert card.locator("img").get_attribute("src").startswith("data:image/jpeg;base64,")
    card.click()
    prompt = page.locator("#txt2img_prompt textarea")
    assert prompt.input_value().endswith(" <instantstyle:coffee style:1>")
    shoot(page, "style-cards")
    page.locator("#txt2img_extra_tabs").get_by_role("tab", name="Generation").or_(
        page.locator("#txt2img_extra_tabs > .tab-nav > button", has_text="Generation")
    ).first.click()
    info, error = generate(page)
    assert "<instantstyle:coffee style:1>" in info and not error.strip()
    assert "InstantStyle 1:" not in info

    open_accordion(page)
    open_styles(page)
    pick(page, "coffee style")
    asked = []
    page.once("dialog", lambda dialog: asked.append(dialog.message) or dialog.dismiss())
    part(page, "style_delete").click()
    assert wait_until(page, lambda: asked)
    settle(page)
    assert "Deleted" not in part(page, "style_message").inner_text()
    page.once("dialog", lambda dialog: dialog.accept())
    part(page, "style_delete").click()
    part(page, "style_message").get_by_text("Deleted coffee style.").wait_for()


def test_a_chosen_style_stands_in_the_box_and_loads_its_settings(page):
    small(page)
    open_accordion(page)
    drop(page)
    set_number(page, "weight", 0.7)
    open_styles(page)
    part(page, "style_save").click()
    saved(page, "coffee").wait_for()  # the name of the file
    set_number(page, "weight", 1)
    zone(page).locator(".instantstyle-clear").click()
    pick(page, "coffee")
    shown = zone(page).locator(".instantstyle-chosen-style")
    assert wait_until(page, lambda: shown.count() == 1 and "coffee" in shown.inner_text())
    assert wait_until(page, lambda: shown.locator("img").count() == 1)
    shoot(page, "style-chosen")
    part(page, "style_card").locator("button", has_text="Load its settings").click()
    assert wait_until(page, lambda: number_box(page, "weight").input_value() == "0.7")
    info, error = generate(page)
    assert error == "" and "style: coffee" in info and "weight: 0.7" in info
    with page.expect_download() as exported:
        part(page, "style_export").click()
    assert exported.value.suggested_filename == "coffee.safetensors"
    page.once("dialog", lambda dialog: dialog.accept())
    part(page, "style_delete").click()
    part(page, "style_message").get_by_text("Deleted coffee.").wait_for()
    assert wait_until(page, lambda: shown.count() == 0)


def pick(page, name):
    """Choose a style; opening the accordion has sent for their names, which may take a moment."""
    field = part(page, "style").locator("input").first
    option = part(page, "style").locator("ul.options li", has_text=name).first

    def is_offered():
        field.blur()
        field.click()
        page.wait_for_timeout(0.5 * SECONDS)
        return option.is_visible()

    assert wait_until(page, is_offered)
    option.click()
    part(page, "style_card").locator("img").first.wait_for(state="visible")
