"""A person at the page: drop a picture, generate, read, restore."""

import base64
import json
import re

import numpy as np
import pytest

from tests.browser.conftest import SCREENSHOTS, open_page, shoot
from tests.webui.client import PICTURES, difference, reference

COFFEE = PICTURES / "coffee.jpg"
SECONDS = 1000


def part(page, name, tab="txt2img"):
    # Gradio 3.41 gives the id of an HTML component to two nested elements.
    return page.locator(f"#script_{tab}_instantstyle_{name}").first


def open_accordion(page, tab="txt2img"):
    part(page, "enabled", tab).locator(".label-wrap").first.click()
    part(page, "reference", tab).locator(".instantstyle-drop").wait_for(state="visible")


def fill(page, elem_id, value):
    page.locator(f"#{elem_id} input[type=number], #{elem_id} textarea").first.fill(str(value))


def small(page, tab="txt2img"):
    """A picture that takes a moment only."""
    for name, value in (("steps", 3), ("width", 64), ("height", 64), ("seed", 7)):
        field = page.locator(f"#{tab}_{name} input[type=number]").first
        field.fill(str(value))
        field.press("Tab")
    page.locator(f"#{tab}_prompt textarea").fill("a cat on a table")


def drop(page, path=COFFEE, tab="txt2img"):
    """Drop a file on the zone, as the mouse would."""
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
    zone = part(page, "reference", tab).locator(".instantstyle-drop")
    zone.dispatch_event("drop", {"dataTransfer": transfer})
    zone.locator(".instantstyle-preview").wait_for(state="visible")


def generate(page, tab="txt2img"):
    """Press Generate and wait for the answer; returns (info text, error text)."""
    # Gradio 3.41 gives an id to two nested elements, the inner one holds the text.
    info, log = (page.locator(f"#html_{name}_{tab}").last for name in ("info", "log"))
    before = (info.inner_text(), log.inner_text())
    page.locator(f"#{tab}_generate").click()
    for _ in range(300):
        page.wait_for_timeout(200)
        texts = (info.inner_text(), log.inner_text())
        if texts != before and any(texts):
            break
    page.wait_for_timeout(300)
    error = log.locator(".error")
    return info.inner_text(), error.inner_text() if error.count() else ""


def pixels(page, tab="txt2img"):
    """The picture in the gallery, as the bytes of its file."""
    image = page.locator(f"#{tab}_gallery img").first
    image.wait_for(state="visible", timeout=30 * SECONDS)
    url = image.get_attribute("src")
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


@pytest.fixture(autouse=True, scope="module")
def sdxl(client):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")


def test_a_picture_is_dropped_and_its_style_is_in_the_result(page, client):
    small(page)
    generate(page)
    plain = pixels(page)
    open_accordion(page)
    shoot(page, "accordion-empty")
    drop(page)
    shoot(page, "accordion")
    part(page, "enabled").screenshot(path=SCREENSHOTS / "accordion-alone.png")
    info, error = generate(page)
    assert error == ""
    assert "InstantStyle 1" in info and "reference: " in info
    styled = pixels(page)
    assert styled != plain
    shoot(page, "result")
    # The page and the API make the same picture of the same reference.
    sampler = re.search(r"Sampler: ([^,]+)", info).group(1)
    answer = client.generate({"image": reference()}, sampler_name=sampler, negative_prompt="")
    from_api = answer.images[0].reshape(-1, 3)
    from_page = [styled[i : i + 3] for i in range(0, len(styled), 4)]
    assert difference(from_api, np.array(from_page)) < 1
    assert answer.infotexts[0].split("InstantStyle 1")[1] == info.split("InstantStyle 1")[1]


def test_every_control_reaches_the_generation(page):
    small(page)
    open_accordion(page)
    drop(page)
    weight = part(page, "weight").locator("input[type=number]").first
    weight.fill("0.7")
    weight.press("Tab")
    end = part(page, "end").locator("input[type=number]").first
    end.fill("0.8")
    end.press("Tab")
    preset = part(page, "preset").locator("input").first
    preset.fill("style+layout")
    preset.press("Enter")
    part(page, "adapter_refresh").click()
    info, error = generate(page)
    assert error == ""
    for text in ("preset: style+layout", "weight: 0.7", "end: 0.8"):
        assert text in info


def test_on_without_a_reference_is_said_and_makes_no_picture(page):
    small(page)
    open_accordion(page)
    _, error = generate(page)
    assert "unit 1: it is on but has no reference" in error
    assert "drop a picture, or untick InstantStyle" in error
    shoot(page, "no-reference")
    drop(page)
    info, error = generate(page)
    assert error == "" and "InstantStyle 1" in info


def test_a_file_that_is_no_picture_is_said(page, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(COFFEE.read_bytes()[:3000])
    small(page)
    open_accordion(page)
    part(page, "reference").locator("input[type=file]").set_input_files(tmp_path / "broken.jpg")
    page.wait_for_timeout(500)
    _, error = generate(page)
    assert "cannot be read as a picture" in error


def test_the_cross_removes_the_reference(page):
    open_accordion(page)
    drop(page)
    box = part(page, "image").locator("textarea")
    assert box.input_value().startswith("data:image/jpeg;base64,")
    part(page, "reference").locator(".instantstyle-clear").click()
    assert box.input_value() == ""
    assert part(page, "reference").locator(".instantstyle-hint").is_visible()
    assert not box.is_visible()  # a text box this long would freeze the page


def test_a_large_picture_is_scaled_down_before_it_travels(page, tmp_path):
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    open_accordion(page)
    part(page, "reference").locator("input[type=file]").set_input_files(tmp_path / "large.png")
    box = part(page, "image").locator("textarea")
    page.wait_for_function("box => box.value.length > 1000", arg=box.element_handle())
    size = page.evaluate(
        """url => new Promise(done => {
            const image = new Image();
            image.onload = () => done([image.width, image.height]);
            image.src = url;
        })""",
        box.input_value(),
    )
    assert size == [1024, 768]


def test_infotext_pasted_after_a_reload_restores_the_settings(page, webui, client):
    unit = {"image": reference(), "preset": "layout", "weight": 0.55, "start": 0.1}
    infotext = client.generate(unit).infotexts[0]
    open_page(page, webui)
    page.locator("#txt2img_prompt textarea").fill(infotext)
    page.locator("#txt2img_tools #paste").click()
    weight = part(page, "weight").locator("input[type=number]").first
    for _ in range(50):
        page.wait_for_timeout(100)
        if weight.input_value() == "0.55":
            break
    assert weight.input_value() == "0.55"
    assert part(page, "start").locator("input[type=number]").first.input_value() == "0.1"
    assert part(page, "preset").locator("input").first.input_value() == "layout"
    assert part(page, "enabled-checkbox").locator("input").is_checked()
    page.locator("#txt2img_prompt textarea").fill("a cat\nSteps: 3, Seed: 7, Size: 64x64")
    page.locator("#txt2img_tools #paste").click()
    checkbox = part(page, "enabled-checkbox").locator("input")
    for _ in range(50):
        page.wait_for_timeout(100)
        if not checkbox.is_checked():
            break
    assert not checkbox.is_checked()


def test_img2img_has_its_own_accordion(page):
    page.locator("#tabs button", has_text="img2img").first.click()
    page.wait_for_timeout(500)
    open_accordion(page, "img2img")
    drop(page, tab="img2img")
    assert part(page, "image", "img2img").locator("textarea").input_value() != ""
    assert part(page, "image", "txt2img").locator("textarea").input_value() == ""
    shoot(page, "img2img")


def test_send_to_img2img_takes_settings_and_reference_along(page):
    small(page)
    open_accordion(page)
    drop(page)
    weight = part(page, "weight").locator("input[type=number]").first
    weight.fill("0.7")
    weight.press("Tab")
    generate(page)
    page.locator("#txt2img_send_to_img2img").first.click()
    page.wait_for_timeout(3 * SECONDS)
    assert (
        part(page, "weight", "img2img").locator("input[type=number]").first.input_value() == "0.7"
    )
    assert part(page, "enabled-checkbox", "img2img").locator("input").is_checked()
    sent, had = (part(page, "image", tab).locator("textarea") for tab in ("img2img", "txt2img"))
    assert sent.input_value() == had.input_value() != ""


def test_a_narrow_page_cuts_nothing(page):
    page.set_viewport_size({"width": 700, "height": 1200})
    open_accordion(page)
    drop(page)
    shoot(page, "accordion-narrow")
    width = page.evaluate("document.documentElement.scrollWidth")
    for name in ("reference", "preset", "weight", "start", "end", "adapter", "blocks"):
        box = part(page, name).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= max(700, width)
        assert box["width"] > 100, name


def test_nothing_of_ours_is_saved_twice_or_leaks_into_the_defaults(webui, client):
    """The reference box must not end up in ui-config.json: it may hold megabytes."""
    assert json.dumps(client.get("/sdapi/v1/script-info")).count('"InstantStyle"') == 2
