"""The saved styles as cards among the extra networks."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import pytest

from lib_instantstyle.tensor.style_file import write_style
from tests.miniature import harness
from tests.unit.styles import style

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def webui():
    session = harness.session()
    session.add_extension(ROOT)
    return session


@pytest.fixture
def library(webui):
    from lib_instantstyle.webui.style_library import library

    shutil.rmtree(library().folder, ignore_errors=True)
    yield library()
    shutil.rmtree(library().folder, ignore_errors=True)


def cards(webui):
    """The page as the WebUI makes it for the tab txt2img."""
    from modules import ui_extra_networks

    (page,) = [p for p in ui_extra_networks.extra_pages if p.name == "instantstyle"]
    return page.create_html("txt2img")


def test_tag_and_page_are_registered_once_also_after_the_ui_was_reloaded(webui):
    from modules import extra_networks, ui_extra_networks

    webui.reload_ui()
    assert "instantstyle" in extra_networks.extra_network_registry
    assert [p.title for p in ui_extra_networks.extra_pages].count("InstantStyle") == 1
    assert extra_networks.parse_prompts(["a <instantstyle:x:1>cat"])[0] == ["a cat"]


def test_without_styles_there_are_no_cards_and_no_folder(webui, library):
    assert 'class="card"' not in cards(webui)
    assert not library.folder.exists()


def test_a_style_is_a_card_whose_click_inserts_its_tag(webui, library):
    write_style(library.path_of("it's ink & wash"), style())
    shown = cards(webui)
    (clicked,) = re.findall(r'onclick="([^"]*)"', shown)
    assert html.unescape(clicked) == (
        "cardClicked('txt2img', \"<instantstyle:it's ink & wash:\""
        " + opts.extra_networks_default_multiplier + \">\", '', false);"
    )
    assert "it&#x27;s ink &amp; wash" in shown and "ViT-H/14" not in shown
    assert "CLIP-ViT-H-14, 2 references" in shown  # of no well-known width
    (preview,) = re.findall(r'<img src="([^"]*)"', shown)
    assert preview.startswith("data:image/jpeg;base64,/9gg")


def test_a_preview_of_the_user_s_own_comes_first(webui, library):
    write_style(library.path_of("ink"), style())
    own = library.folder / "ink.preview.png"
    own.write_bytes((ROOT / "tests" / "pictures" / "coffee.jpg").read_bytes())
    try:
        (preview,) = re.findall(r'<img src="([^"]*)"', cards(webui))
        address = html.unescape(preview).removeprefix(".")
        assert webui.get(address).content == own.read_bytes()
    finally:
        own.unlink()


def test_what_a_style_says_of_itself_is_served_without_the_picture(webui, library):
    write_style(library.path_of("ink"), style())
    cards(webui)
    answer = webui.get(
        "/sd_extra_networks/metadata", params={"page": "instantstyle", "item": "ink"}
    )
    found = json.loads(answer.json()["metadata"])
    assert found["encoder"] == "CLIP-ViT-H-14" and found["settings"]["preset"] == "style+layout"
    assert found["serves"] == ["linear", "plus"] and "thumbnail" not in found


def test_a_single_card_is_found_by_its_name(webui, library):
    from modules import ui_extra_networks

    write_style(library.path_of("ink"), style())
    (page,) = [p for p in ui_extra_networks.extra_pages if p.name == "instantstyle"]
    assert page.create_item("ink", enable_filter=False)["filename"].endswith("ink.safetensors")
    assert page.create_item("other") is None
