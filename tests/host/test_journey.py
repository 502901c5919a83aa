"""How far a request travels: what the house was built for, counted."""

import pytest

from tests import journey
from tests.host.generations import UNIT


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


@pytest.fixture
def journeys(webui, library):
    webui.post("/instantstyle/embed", {"name": "ink", **UNIT})
    return journey.follow(webui)


def test_a_request_walks_the_unet_and_scans_the_folders_once(journeys):
    found = {name: (each.walks, each.scans) for name, each in journeys.items()}
    assert found == {
        "plain image": (1, 1),
        "content": (1, 1),
        "StyleID": (1, 0),
        "prompt tag": (1, 1),
        "plan": (1, 1),
        "off": (0, 0),
    }


def test_a_request_enters_few_files(journeys):
    assert len(journeys["plain image"].files) <= 45
    assert journeys["plain image"].changes_of_room <= 34
    off = journeys["off"].files
    assert len(off) <= 6, off
    assert not [name for name in off if name.split("/")[0] in ("unet", "clip", "references")]
