"""The miniature as a program: flags, authentication, a real port, Reload UI."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.miniature.harness import PROBE, SMALL
from tests.miniature.server import serve
from tests.miniature.tiny.linked import FAMILY
from tests.waiting import HANGS, wait_for

REPOSITORY = Path(__file__).resolve().parents[3]


def picture(url, **kwargs):
    return requests.post(f"{url}/sdapi/v1/txt2img", json=SMALL, timeout=HANGS, **kwargs)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    flags = {"family": FAMILY, "api_auth": "me:secret", "probe_flag": "set"}
    with serve(data, PROBE, api_server_stop=True, **flags) as server:
        yield server


def test_authentication(server):
    answer = picture(server.url)
    assert answer.status_code == 401
    assert picture(server.url, auth=("me", "wrong")).status_code == 401
    assert picture(server.url, auth=("me", "secret")).status_code == 200
    # a route of an extension is not behind it
    assert requests.get(f"{server.url}/probe/state", timeout=HANGS).status_code == 200


def test_the_repository_is_not_on_the_path(server):
    path = requests.get(f"{server.url}/probe/state", timeout=HANGS).json()["path"]
    assert str(REPOSITORY) not in [str(Path(x or ".").resolve()) for x in path]
    assert str(PROBE) not in path


def test_files_of_the_page_are_served(server):
    import re

    page = requests.get(server.url, timeout=HANGS).text
    files = re.findall(r'(?:src|href)="(file=[^"]+)"', page)
    assert len(files) >= 7
    for file in files:
        assert requests.get(f"{server.url}/{file}", timeout=HANGS).status_code == 200, file


def test_flags_of_an_extension_are_known(server):
    flags = requests.get(f"{server.url}/sdapi/v1/cmd-flags", auth=("me", "secret"), timeout=HANGS)
    assert flags.json()["probe_flag"] == "set"


def test_reload_ui_keeps_the_address(server):
    before = server.log.count("is ready")
    config = requests.get(f"{server.url}/config", timeout=HANGS).json()
    ids = {x["props"].get("elem_id"): x["id"] for x in config["components"]}
    restart = ids["settings_restart_gradio"]
    index = next(i for i, x in enumerate(config["dependencies"]) if restart in x["targets"])
    body = {"fn_index": index, "data": [], "session_hash": "test"}
    requests.post(f"{server.url}/run/predict", json=body, timeout=HANGS)
    wait_for(lambda: server.log.count("is ready") > before)
    assert server.log.count("is ready") == before + 1
    assert picture(server.url, auth=("me", "secret")).status_code == 200
