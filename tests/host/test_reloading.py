"""Reload UI, three times: everything of ours is there once, and works as before."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.host.generations import UNIT, style
from tests.host.plots import XYZ
from tests.host.watching import hooks_on, watch_hooks

TIMES = 3
OURS = "instantstyle"


def callbacks(webui):
    """Our functions in the WebUI's lists of callbacks."""
    from modules import script_callbacks

    return Counter(
        (kind, each.callback.__module__, each.callback.__qualname__)
        for kind, listed in script_callbacks.callback_map.items()
        for each in listed
        if Path(each.script).name == "instantstyle.py"
    )


def axes(webui):
    return Counter(
        (tab, option.label)
        for tab in ("txt2img", "img2img")
        for option in webui.script(XYZ, tab).current_axis_options
        if "InstantStyle" in option.label
    )


def ids(webui):
    """Of the components of the page; the controls above cards are the WebUI's own."""
    found = (getattr(block, "elem_id", None) or "" for block in webui.demo.blocks.values())
    return Counter(each for each in found if each.startswith("script_") and OURS in each)


def routes(webui):
    return Counter(route.path for route in webui.app.routes if OURS in route.path)


def cards(webui):
    """The page of cards, and the tag that they insert."""
    from modules import extra_networks, ui_extra_networks

    found = [("page", page.name) for page in ui_extra_networks.extra_pages]
    found += [("tag", name) for name in extra_networks.extra_network_registry]
    return Counter(each for each in found if OURS in each[1])


def settings(webui):
    return Counter(key for key in webui.shared.opts.data_labels if OURS in key)


def pasted_fields(webui):
    """What infotext is pasted into, by the component's id."""
    from modules import infotext_utils

    return Counter(
        (tab, field.component.elem_id)
        for tab in ("txt2img", "img2img")
        for field in infotext_utils.paste_fields[tab]["fields"]
        if OURS in (getattr(field.component, "elem_id", None) or "")
    )


def pictures(webui):
    """One without the style, and one with it."""
    return [webui.txt2img().png, webui.txt2img(**style(UNIT)).png]


# How many there are of each at least, so that a name that changed makes no test an empty one.
LEAST = {
    callbacks: 3,
    axes: 60,
    ids: 200,
    routes: 9,
    cards: 2,
    settings: 6,
    pasted_fields: 200,
}


@pytest.fixture(scope="module")
def pages(session):
    """(before, after): what there was of each with the first page, and after three reloads."""
    webui = session
    webui.reload_ui()  # whatever earlier tests have left, this is the first page
    webui.use("tiny_sd15.")
    found = []
    for times in (0, TIMES):
        for _ in range(times):
            webui.reload_ui()
        found.append({of: of(webui) for of in (*LEAST, pictures)})
    return found


@pytest.mark.parametrize("of", LEAST)
def test_everything_of_ours_is_there_once(pages, of):
    before, after = (page[of] for page in pages)
    assert len(before) >= LEAST[of]
    assert set(before.values()) == {1}
    assert after == before


def test_the_pictures_stay_the_same(pages):
    before, after = (page[pictures] for page in pages)
    plain, styled = before
    assert after == before and plain != styled


def test_a_picture_is_hooked_once(pages, session, monkeypatch):
    seen = watch_hooks(monkeypatch)
    session.txt2img(**style(UNIT))
    assert set(seen) == {1 + 2 * 3}  # on the UNet, and two on each of the style block's layers
    assert hooks_on(session.sd_model) == []
