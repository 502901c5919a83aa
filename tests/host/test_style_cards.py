"""The saved styles as cards among the extra networks."""

from __future__ import annotations

import html
import json
import re

from lib_instantstyle.styles.file import write_style
from tests.host.generations import PICTURES
from tests.unit.styles import style


def cards(session):
    """The page as the WebUI makes it for the tab txt2img."""
    from modules import ui_extra_networks

    (page,) = [p for p in ui_extra_networks.extra_pages if p.name == "instantstyle"]
    return page.create_html("txt2img")


def test_tag_and_page_are_registered_once_also_after_the_ui_was_reloaded(session):
    from modules import extra_networks, ui_extra_networks

    session.reload_ui()
    assert "instantstyle" in extra_networks.extra_network_registry
    assert [p.title for p in ui_extra_networks.extra_pages].count("InstantStyle") == 1
    assert extra_networks.parse_prompts(["a <instantstyle:x:1>cat"])[0] == ["a cat"]


def test_without_styles_there_are_no_cards_and_no_folder(session, library):
    assert 'class="card"' not in cards(session)
    assert not library.folder.exists()


def test_a_style_is_a_card_whose_click_inserts_its_tag(session, library):
    write_style(library.path_of("it's ink & wash"), style())
    shown = cards(session)
    (clicked,) = re.findall(r'onclick="([^"]*)"', shown)
    assert html.unescape(clicked) == (
        "cardClicked('txt2img', \"<instantstyle:it's ink & wash:\""
        " + opts.extra_networks_default_multiplier + \">\", '', false);"
    )
    assert "it&#x27;s ink &amp; wash" in shown and "ViT-H/14" not in shown
    assert "CLIP-ViT-H-14, 2 references" in shown  # of no well-known width
    (preview,) = re.findall(r'<img src="([^"]*)"', shown)
    assert preview.startswith("data:image/jpeg;base64,/9gg")


def test_a_preview_of_the_user_s_own_comes_first(session, library):
    write_style(library.path_of("ink"), style())
    own = library.folder / "ink.preview.png"
    own.write_bytes((PICTURES / "coffee.jpg").read_bytes())
    try:
        (preview,) = re.findall(r'<img src="([^"]*)"', cards(session))
        address = html.unescape(preview).removeprefix(".")
        assert session.get(address).content == own.read_bytes()
    finally:
        own.unlink()


def test_what_a_style_says_of_itself_is_served_without_the_picture(session, library):
    write_style(library.path_of("ink"), style())
    cards(session)
    answer = session.get(
        "/sd_extra_networks/metadata", params={"page": "instantstyle", "item": "ink"}
    )
    found = json.loads(answer.json()["metadata"])
    assert found["encoder"] == "CLIP-ViT-H-14" and found["settings"]["preset"] == "style+layout"
    assert found["serves"] == ["linear", "plus"] and "thumbnail" not in found


def test_a_single_card_is_found_by_its_name(session, library):
    from modules import ui_extra_networks

    write_style(library.path_of("ink"), style())
    (page,) = [p for p in ui_extra_networks.extra_pages if p.name == "instantstyle"]
    assert page.create_item("ink", enable_filter=False)["filename"].endswith("ink.safetensors")
    assert page.create_item("other") is None
