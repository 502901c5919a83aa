"""A person without an adapter: look at the list, download, cancel, go on, generate."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.browser.conftest import shoot
from tests.browser.person import (
    SECONDS,
    drop,
    generate,
    open_accordion,
    open_advanced,
    part,
    script_part,
    small,
    status,
    wait_until,
)
from tests.miniature.companions import SMALL_DOWNLOADS
from tests.miniature.tiny import make_family
from tests.unit.publisher import published, publisher
from tests.webui.client import Client
from tests.webui.server import miniature, real

ADAPTER = "ip-adapter_sdxl"
NAME = f"{ADAPTER}.safetensors"
WRONG = "ip-adapter_sdxl_vit-h.safetensors"
WIDTHS = (1500, 700)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The tiny adapter for SDXL, which is the same wherever it is made."""
    family = make_family(tmp_path_factory.mktemp("adapter"), which=[ADAPTER])
    return family[ADAPTER].read_bytes()


@pytest.fixture(scope="module")
def site(content):
    with publisher(content, piece=2**17) as site:
        yield site


@pytest.fixture(scope="module")
def webui(tmp_path_factory, site, content):
    """A WebUI of its own whose models folder has no adapter for SDXL; `site` publishes one."""
    if os.environ.get("INSTANTSTYLE_WEBUI_URL"):
        pytest.skip("NOT RUN: needs a WebUI that it starts itself")
    data = tmp_path_factory.mktemp("downloads")
    right = replace(published(site, content, NAME), layout="sdxl", vectors=1)
    wrong = replace(published(site, content[:-1] + b"?", WRONG), licence="MIT")
    (data / "published.json").write_text(json.dumps([asdict(right), asdict(wrong)]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSTANTSTYLE_PUBLISHED", str(data / "published.json"))
        with _start(data) as url:
            for path in (data / "models").rglob("ip-adapter*sdxl*"):
                path.unlink()
            Client(url).options(sd_model_checkpoint="tiny_sdxl.safetensors")
            yield url


def _start(data):
    folder = os.environ.get("INSTANTSTYLE_WEBUI")
    if not folder:
        return miniature(data, "--extension", str(SMALL_DOWNLOADS))
    default = Path(folder) / "venv" / "bin" / "python"
    python = Path(os.environ.get("INSTANTSTYLE_WEBUI_PYTHON", default))
    return real(Path(folder), python, data, extensions=[SMALL_DOWNLOADS])


def row(page, name):
    listed = script_part(page, "downloads").locator(".instantstyle-download", has_text=name)
    return listed.first


def press(page, name, title):
    row(page, name).get_by_role("button", name=f"{title} {name}").click()


def says(page, name, text):
    said = row(page, name)
    assert wait_until(page, lambda: text in said.inner_text()), said.inner_text()


def shoot_list(page, name):
    """The list on a wide page and on a narrow one."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1200})
        assert wait_until(page, lambda width=width: page.evaluate("innerWidth") == width)
        listed = script_part(page, "downloads")
        listed.scroll_into_view_if_needed()
        shoot(page, f"{name}-{width}", full=False)
        box = listed.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    page.set_viewport_size({"width": WIDTHS[0], "height": 1200})


def test_an_adapter_is_downloaded_and_used_without_leaving_the_page(page, site, content):
    small(page)
    open_accordion(page)
    drop(page)
    missing = "No IP-Adapter for SDXL"
    assert wait_until(page, lambda: missing in status(page).inner_text()), status(page).inner_text()
    late = page.add_style_tag(content='[id$="_downloads_list"] { display: none; }')
    script_part(page, "downloads").locator(".label-wrap").first.click()
    page.wait_for_timeout(SECONDS)  # as long as a busy page may take to open it
    late.evaluate("tag => tag.remove()")
    row(page, NAME).wait_for(state="visible")
    assert site.asked == []
    for told in ("Apache-2.0", "SHA-256", f"{len(content) / 1e6:.0f} MB"):
        assert told in row(page, NAME).inner_text()
    shoot_list(page, "downloads")

    press(page, WRONG, "Download")
    says(page, WRONG, "is not what was published: its SHA-256 is")
    asked = len(site.asked)
    site.delay = 0.1  # a slow line: something to look at, and to cancel
    press(page, NAME, "Download")
    assert wait_until(page, lambda: row(page, NAME).locator("progress").count() == 1)
    progress = row(page, NAME).locator("progress")
    before = progress.get_attribute("value")
    assert wait_until(page, lambda: progress.get_attribute("value") != before)
    shoot_list(page, "downloads-under-way")
    press(page, NAME, "Cancel")
    says(page, NAME, "was stopped; what has arrived is kept.")
    site.delay = 0
    press(page, NAME, "Go on")
    says(page, NAME, f"is here, as {NAME}")
    first, again = site.asked[asked:]
    assert first is None and again.startswith("bytes=")
    shoot_list(page, "downloads-done")

    # The page knows the adapter by itself.
    with_adapter = f"{ADAPTER} with image encoder"
    assert wait_until(page, lambda: with_adapter in status(page).inner_text())
    open_advanced(page)
    assert ADAPTER in offered(page, "adapter")
    info, error = generate(page)
    assert "InstantStyle 1:" in info and not error


def offered(page, name):
    field = part(page, name).locator("input").first
    field.click()
    options = part(page, name).locator("ul.options li")
    options.first.wait_for(state="visible")
    listed = [text.strip(" \n\u2713") for text in options.all_inner_texts()]
    field.blur()
    return listed
