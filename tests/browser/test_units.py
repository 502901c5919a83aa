"""Tabs, the status line and the block map."""

import re

import pytest

from lib_instantstyle.methods import TABLE
from tests.browser.conftest import open_page, shoot, shoot_for_docs
from tests.browser.person import (
    cell,
    choose_unit,
    drop,
    generate,
    open_accordion,
    open_advanced,
    open_regions,
    part,
    paste_infotext,
    script_part,
    set_choice,
    set_number,
    set_text,
    settle,
    small,
    status,
    text_of,
    tick,
    ticking,
    wait_until,
    zone,
)
from tests.webui.client import reference

# The numbers of the functions whose answers our components show.
OUR_FUNCTIONS = """() => {
    const id = c => String(c.props.elem_id || "");
    const named = gradio_config.components.filter(c => /^script_.*_instantstyle_/.test(id(c)));
    const ours = new Set(named.map(c => c.id));
    return gradio_config.dependencies.flatMap((each, place) =>
        each.outputs.some(output => ours.has(output)) ? [each.id ?? place] : []);
}"""


@pytest.fixture
def opened(sdxl, page):
    open_accordion(page)
    status(page).wait_for()
    return page


def says(page, words, unit=1):
    return wait_until(page, lambda: words in status(page, unit=unit).inner_text())


def lit(page, unit=1):
    """Weights by transformer index, as the map shows them; zeros left out."""
    return page.evaluate(
        """map => Object.fromEntries(
            Array.from(map.querySelectorAll(".instantstyle-lit")).map(
                cell => [cell.dataset.index, Number(cell.dataset.weight)]))""",
        part(page, "map", unit=unit).element_handle(),
    )


def shows(page, weights, unit=1):
    return wait_until(page, lambda: lit(page, unit) == weights)


def test_a_closed_accordion_asks_nothing(sdxl, empty_tab, webui):
    """Nothing that any of our components is shown the answer of; opening it asks at once."""
    page = empty_tab
    asked = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    # Playwright marks the function, which a method of a list does not allow.
    page.on("websocket", lambda socket: socket.on("framesent", lambda sent: asked.append(sent)))
    open_page(page, webui)
    ours = set(page.evaluate(OUR_FUNCTIONS))
    assert len(ours) > 10

    def of_ours():
        sent = re.findall(r'"fn_index": ?(\d+)', " ".join(map(str, asked)))
        return [number for number in map(int, sent) if number in ours]

    small(page)
    info, error = generate(page)
    assert error == "" and "InstantStyle" not in info and of_ours() == []
    open_accordion(page)
    status(page).wait_for()
    assert len(set(of_ours())) == 2  # the lists of files, and what the units will do


def test_the_status_says_what_will_be_done(opened):
    assert says(opened, "ip-adapter_sdxl with image encoder")
    assert says(opened, "gets the style into 10 of 70 layers")
    assert says(opened, "Content can be taken out by words, with the checkpoint's own")
    set_choice(opened, "preset", "style+layout")
    assert says(opened, "into 20 of 70 layers")
    open_advanced(opened)
    set_choice(opened, "adapter", "ip-adapter-plus_sdxl_vit-h")
    assert says(opened, "Content cannot be taken out")
    shoot(opened, "status")


def test_the_status_says_what_is_wrong(opened):
    open_advanced(opened)
    set_choice(opened, "adapter", "ip-adapter_sd15")
    assert says(opened, "is made for SD1.5, the loaded checkpoint is SDXL")
    assert "instantstyle-problem" in status(opened).get_attribute("class")
    set_text(opened, "blocks", "no_block=1")
    assert says(opened, "no_block")
    shoot(opened, "problem")


OF_ADAPTERS = {
    "adapter", "preset", "blocks", "content", "content_scale", "auto_content", "content_mode",
    "clip_source", "negative_weight", "noise", "noise_strength", "noise_blur", "crop",
    "sharpening", "combine", "auto_weight", "embeds_scaling", "time_curve", "hires_pass",
    "layout_lock", "layout_from", "report", "purify", "purify_keep", "purify_scale",
    "attention_guidance", "guidance_from", "fusion", "style_to", "style_mix",
    "negative_content",
}  # fmt: skip
BESIDE_THEM = (
    "words_button",
    "crops_button",
    "adapter_refresh",
    "negative_image_drop",
    "mask_drop",
)
METHODS = [
    ("styleid", "needs a picture to change; use it in img2img",
     {"blocks", "crop", "gamma", "gamma_end", "gamma_curve", "tau", "adain",
      "steps_of_inversion", "schedule", "hires_pass"}),
    ("stylealigned", "attends to the reference as to itself",
     {"blocks", "crop", "shared_scale", "shared_shift", "shared_norms", "adain",
      "steps_of_inversion", "reference_noise", "hires_pass"}),
    ("swap", "attends to the reference instead of itself",
     {"blocks", "crop", "colour_calibration", "steps_of_inversion", "reference_noise",
      "negative_query", "style_guidance", "hires_pass"}),
    ("b-lora", "LoRA",
     {"lora", "lora_scaling", "style_strength", "content_strength", "time_curve", "hires_pass",
      "layout_lock", "layout_from"}),
]  # fmt: skip


def test_a_method_shows_its_own_fields_alone(opened):
    open_advanced(opened)
    open_regions(opened)

    def shown():
        return {name for name in TABLE.of_some_methods if part(opened, name).is_visible()}

    for method, words, fields in METHODS:
        assert wait_until(opened, lambda: shown() == OF_ADAPTERS), (method, shown() ^ OF_ADAPTERS)
        assert all(part(opened, name).is_visible() for name in BESIDE_THEM), method
        set_choice(opened, "method", method)
        assert says(opened, words), (method, status(opened).inner_text())
        assert wait_until(opened, lambda fields=fields: shown() == fields), (method, shown())
        assert not any(part(opened, name).is_visible() for name in BESIDE_THEM), method
        assert part(opened, "weight").is_visible() == TABLE.methods[method].uses_weight, method
        assert not part(opened, "styles").is_visible(), method
        assert not part(opened, "regions").is_visible(), method
        shoot(opened, f"method-{method}")
        set_choice(opened, "method", "ip-adapter")
    assert wait_until(opened, lambda: shown() == OF_ADAPTERS)


def test_the_share_of_a_mask_is_there_for_masks_alone(opened):
    open_advanced(opened)
    assert part(opened, "content_mode").is_visible()
    assert not part(opened, "content_share").is_visible()
    set_choice(opened, "content_mode", "mask")
    assert wait_until(opened, lambda: part(opened, "content_share").is_visible())
    set_text(opened, "content", "a cup")
    assert says(opened, "0.5 times 'a cup' will be taken out (mask, 51 of 256 elements for each).")
    shoot(opened, "mask")
    set_choice(opened, "content_mode", "subspace")
    assert wait_until(opened, lambda: not part(opened, "content_share").is_visible())


def test_the_map_follows_the_preset(opened):
    assert shows(opened, {"6": 1})
    set_choice(opened, "preset", "style+layout")
    assert shows(opened, {"3": 1, "6": 1})
    assert "instantstyle-role-layout" in cell(opened, 3).get_attribute("class")
    assert "instantstyle-role-style" in cell(opened, 6).get_attribute("class")
    assert wait_until(opened, lambda: part(opened, "layout_weight").is_visible())
    set_choice(opened, "preset", "style")
    assert wait_until(opened, lambda: not part(opened, "layout_weight").is_visible())


def test_the_map_follows_beside_what_ticks_on_the_page(opened):
    assert shows(opened, {"6": 1})
    with ticking(opened):
        set_choice(opened, "preset", "style+layout")
        assert shows(opened, {"3": 1, "6": 1})


def test_what_is_pasted_and_sent_on_is_shown_beside_what_ticks(opened, client):
    """Such as the next picture's settings while this one is painted."""
    unit = {"image": reference(), "preset": "layout", "weight": 0.6}
    infotext = client.generate(unit).infotexts[0]
    small(opened)
    drop(opened)
    assert shows(opened, {"6": 1})
    with ticking(opened):
        paste_infotext(opened, infotext)
        assert shows(opened, {"3": 1})
        _, error = generate(opened)
        assert error == ""
        opened.locator("#txt2img_send_to_img2img").first.click()
        sent = zone(opened, tab="img2img").locator(".instantstyle-preview")
        assert wait_until(opened, lambda: sent.count() == 1)


def test_click_drag_and_type_write_the_block_weights(opened):
    assert shows(opened, {"6": 1})
    open_advanced(opened)
    cell(opened, 3).locator(".instantstyle-track").click()
    assert text_of(opened, "blocks") == ("down_blocks.2.attentions.1=1; up_blocks.0.attentions.1=1")
    own = part(opened, "map").locator(".instantstyle-map-head")
    assert wait_until(opened, lambda: "the same as preset style+layout" in own.inner_text())
    track = cell(opened, 3).locator(".instantstyle-track").bounding_box()
    x, bottom = track["x"] + track["width"] / 2, track["y"] + track["height"]
    opened.mouse.move(x, bottom - track["height"] / 2)
    opened.mouse.down()
    opened.mouse.move(x, bottom - track["height"] * 0.3, steps=4)
    opened.mouse.move(x, bottom - track["height"] / 4, steps=4)
    opened.mouse.up()
    assert shows(opened, {"3": 0.5, "6": 1})
    typed = cell(opened, 8).locator("input")
    typed.fill("-0,25")
    typed.press("Tab")
    expected = "down_blocks.2.attentions.1=0.5; up_blocks.0.attentions.1=1; "
    assert text_of(opened, "blocks") == expected + "up_blocks.1.attentions.0=-0.25"
    cell(opened, 8).locator(".instantstyle-track").press("ArrowUp")
    assert shows(opened, {"3": 0.5, "6": 1, "8": -0.2})
    settle(opened)
    shoot_for_docs(part(opened, "map"), "block-map")
    part(opened, "map").get_by_text("Back to the preset").click()
    assert text_of(opened, "blocks") == ""
    assert shows(opened, {"6": 1})


def test_typed_block_weights_are_drawn_and_reach_the_picture(opened):
    small(opened)
    drop(opened)
    open_advanced(opened)
    set_text(opened, "blocks", "3:0.5; 6:1")
    assert shows(opened, {"3": 0.5, "6": 1})
    info, error = generate(opened)
    assert error == "" and "blocks: 3=0.5; 6=1" in info


def test_a_block_that_is_turned_off_everywhere_is_said(opened):
    cell(opened, 6).locator(".instantstyle-track").press("Home")
    assert says(opened, "no block has a weight")
    assert shows(opened, {})


@pytest.fixture
def sd15(client):
    """Before the page is there: a page that is being drawn sends the checkpoint that it shows."""
    client.options(sd_model_checkpoint="tiny_sd15.safetensors")


def test_the_map_of_an_sd15_checkpoint(sd15, page):
    open_accordion(page)
    assert shows(page, {"7": 1, "8": 1, "9": 1})
    assert part(page, "map").locator(".instantstyle-cell").count() == 16
    shoot(page, "map-of-sd15")


def test_each_unit_has_a_tab_and_a_style(opened):
    small(opened)
    drop(opened)
    choose_unit(opened, 2)
    tick(opened, "enabled", unit=2)
    set_choice(opened, "preset", "layout", unit=2)
    drop(opened, unit=2)
    assert shows(opened, {"3": 1}, unit=2)
    set_number(opened, "weight", 0.6, unit=2)
    shoot(opened, "second-unit")
    info, error = generate(opened)
    assert error == ""
    assert "InstantStyle 1" in info and "InstantStyle 2" in info and "weight: 0.6" in info
    tabs = script_part(opened, "units").locator(".tab-nav > button")
    marked = ["instantstyle-on" in tabs.nth(i).get_attribute("class") for i in range(3)]
    assert marked == [True, True, False]
    choose_unit(opened, 1)
    tick(opened, "enabled", False)
    assert says(opened, "This unit is off")
    info, error = generate(opened)
    assert "InstantStyle 2" in info and "InstantStyle 1" not in info


def test_a_name_typed_before_it_is_chosen_is_not_taken_for_the_choice(opened):
    preset = part(opened, "preset")
    preset.locator("input").first.click()
    preset.locator("input").first.fill("style+layout")
    opened.wait_for_timeout(1500)  # longer than the page waits before it asks what a unit will do
    preset.locator("ul.options li").first.click()
    part(opened, "layout_weight").wait_for(state="visible")
