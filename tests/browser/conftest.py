"""A page of the WebUI in headless Chromium.

Chromium is the system's own (Debian's package `chromium-headless-shell`, or `chromium`); without
one these tests are reported as not run. Screenshots are kept in build/screenshots.
"""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.browser.person import settle
from tests.waiting import HANGS
from tests.webui import gallery
from tests.webui.conftest import client, webui

__all__ = ["client", "webui"]  # the same WebUI as the API scenarios, miniature or real

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
DOCS = Path(__file__).parents[2] / "docs"
DOCS_LIMIT = 300_000  # bytes
PATIENCE = HANGS * 1000  # milliseconds; a busy machine draws the page in half a minute
# Where the WebUI is, and nothing else that a page may ask for.
HOST = urlsplit(os.environ.get("INSTANTSTYLE_WEBUI_URL") or "http://127.0.0.1").hostname
# The first that is there. The shell has no window to draw around the page: a third less to do.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip


@pytest.fixture(scope="session")
def chromium():
    """The browser with one profile for all tests: what Gradio's page is made of is fetched and
    compiled once. A page for each of them would take a third longer to draw with nothing kept.
    """
    if CHROMIUM is None:
        pytest.skip(
            "NOT RUN: no Chromium on this machine (Debian: apt-get install chromium-headless-shell)"
        )
    from playwright.sync_api import sync_playwright

    # Fonts from outside are not asked for: they would only time out on a closed machine. To refuse
    # them by Playwright's routes would turn off what the browser keeps.
    only = f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, only])
        context = browser.new_context(viewport={"width": 1500, "height": 1200})
        context.set_default_timeout(PATIENCE)
        yield context
        browser.close()


@pytest.fixture
def sdxl(client):
    """The SDXL checkpoint, chosen before the page is drawn."""
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")


@pytest.fixture
def empty_tab(chromium, webui):
    """A tab of the browser with nothing in it yet; an error in our script fails the test."""
    page = chromium.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(f"{error}\n{error.stack}"))
    yield page
    if page.url.startswith(webui):
        page.evaluate("localStorage.clear()")  # such as a task that the next page would wait for
    page.close()
    # Gradio throws errors of its own at pages that are perfectly well.
    assert [error for error in errors if "instantstyle" in error] == []


@pytest.fixture
def page(empty_tab, webui):
    """A freshly loaded page."""
    open_page(empty_tab, webui)
    return empty_tab


def open_page(page, url):
    page.goto(url)
    settled(page)


def settled(page):
    page.wait_for_selector("#txt2img_generate")
    page.wait_for_selector(".instantstyle-drop", state="attached")
    # The WebUI's own scripts come after the page is drawn.
    page.wait_for_function("() => typeof opts === 'object' && Object.keys(opts).length > 0")
    settle(page, quiet=1000)


def shoot(page, name, full=True):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path, full_page=full)
    gallery.made.append((name, Image.open(path).convert("RGB")))


def shoot_for_docs(locator, name):
    """A picture of a part of the page; kept in docs/ too where INSTANTSTYLE_DOCS asks for it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    file = SCREENSHOTS / f"{name}.png"
    locator.screenshot(path=file)
    gallery.made.append((name, Image.open(file).convert("RGB")))
    if os.environ.get("INSTANTSTYLE_DOCS"):
        kept = DOCS / file.name
        colours = Image.open(file).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        colours.save(kept, optimize=True)
        assert kept.stat().st_size < DOCS_LIMIT, f"{kept.name} is too large for a README"
