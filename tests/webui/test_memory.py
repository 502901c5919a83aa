"""The image encoder in the Forge family's account of what is on the device."""

import pytest
import requests

from tests.webui.client import difference, reference

COUNTED = "CountedEncoder"
KEEP, STORED = "instantstyle_keep_encoder", "instantstyle_embedding_cache_mb"


@pytest.fixture(autouse=True)
def nothing_stored(client):
    """Every generation has to look at its reference."""
    try:
        client.get("/memory-probe")
    except requests.HTTPError:
        pytest.skip("NOT RUN: the WebUI has no extension tests/webui/memory_probe")
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors", **{STORED: 0})
    yield
    client.options(**{KEEP: False, STORED: 200})


def counted(client):
    return client.get("/memory-probe").count(COUNTED)


def styled(client, noise):
    """A picture for the negative rows that was not seen before: as much noise as told."""
    unit = {"image": reference(), "noise": "gaussian", "noise_strength": noise}
    answer = client.generate(unit)
    assert answer.status == 200, answer.detail
    return answer.images[0]


def test_it_leaves_no_entry(client):
    styled(client, 0.11)
    assert counted(client) == 0


def test_one_that_stays_is_counted_moved_off_and_comes_back(client):
    client.options(**{KEEP: True})
    first = styled(client, 0.12)
    assert counted(client) == 1
    assert client.post("/memory-probe", {}).json() == []
    second = styled(client, 0.13)
    assert counted(client) == 1
    assert difference(first, second) > 0
    client.options(**{KEEP: False})
    styled(client, 0.14)
    assert counted(client) == 0
