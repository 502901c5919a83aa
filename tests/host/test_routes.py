"""Our routes: what clients are told without making a picture."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.host.test_extension import ROOT, session  # noqa: F401


@pytest.fixture
def webui(session):  # noqa: F811
    session.shared.opts.data["sd_checkpoints_limit"] = 3
    saved = dict(session.shared.opts.data)
    session.use("tiny_sdxl.")
    yield session
    session.shared.opts.data = saved


def get(webui, path, expect=200):
    response = webui.get(f"/instantstyle/{path}")
    assert response.status_code == expect, response.text
    return response.json()


def test_version(webui):
    from lib_instantstyle import __version__

    assert get(webui, "version") == {"name": "InstantStyle", "version": __version__}


def test_adapters_say_what_they_are_and_whether_they_fit(webui):
    listed = {a["name"]: a for a in get(webui, "adapters")["adapters"]}
    sdxl, sd15 = listed["ip-adapter_sdxl"], listed["ip-adapter_sd15"]
    assert sdxl == {
        "name": "ip-adapter_sdxl", "kind": "linear", "layout": "sdxl", "layers": 70,
        "encoder": "CLIP-ViT-bigG", "problem": None,
    }  # fmt: skip
    assert sd15["encoder"] is None and "is made for SD1.5" in sd15["problem"]
    webui.use("tiny_sd15.")
    listed = {a["name"]: a for a in get(webui, "adapters")["adapters"]}
    assert listed["ip-adapter_sd15"]["problem"] is None
    assert "is made for SDXL" in listed["ip-adapter_sdxl"]["problem"]


def test_presets_are_those_of_the_table(webui):
    from lib_instantstyle.pure.presets import PRESETS

    listed = {p["id"]: p for p in get(webui, "presets")["presets"]}
    assert list(listed) == list(PRESETS)
    style = {"index": 6, "name": "up_blocks.0.attentions.1", "factor": 1.0, "of": "weight"}
    assert listed["style"]["blocks"]["sdxl"] == [style]
    assert [b["index"] for b in listed["style"]["blocks"]["sd15"]] == [7, 8, 9]


def test_blocks_are_those_of_the_chosen_checkpoint(webui):
    answer = get(webui, "blocks")
    assert answer["checkpoint"] == "tiny_sdxl.safetensors" and answer["layout"] == "sdxl"
    assert [b["layers"] for b in answer["blocks"]] == [2, 2, 10, 10, 10, 10, 10, 10, 2, 2, 2]
    assert answer["blocks"][6]["name"] == "up_blocks.0.attentions.1"
    webui.use("tiny_sd15.")
    assert len(get(webui, "blocks")["blocks"]) == 16


def test_a_checkpoint_of_another_family_is_a_sentence(webui, monkeypatch):
    from lib_instantstyle.hosts import loaded

    monkeypatch.setattr(loaded, "checkpoint_in_memory", lambda: None)
    monkeypatch.setattr(loaded, "read_tensors", lambda path: {})
    answer = get(webui, "blocks", expect=422)
    assert "of these two families" in answer["detail"]


def test_nothing_says_where_on_this_machine_files_lie(webui):
    import modules.paths_internal

    for path in ("adapters", "presets", "blocks", "version"):
        assert modules.paths_internal.models_path not in webui.get(f"/instantstyle/{path}").text


def test_openapi_describes_every_route(webui):
    paths = webui.get("/openapi.json").json()["paths"]
    ours = {path: each for path, each in paths.items() if path.startswith("/instantstyle")}
    assert {"/instantstyle/version", "/instantstyle/blocks"} <= set(ours)
    for each in ours.values():
        for operation in each.values():
            assert operation["description"] and operation["tags"] == ["InstantStyle"]
            assert operation["responses"]["422"]["content"]["application/json"]["schema"]


@pytest.mark.parametrize("page", [True, False])
def test_a_password_of_the_api_guards_our_routes_too(tmp_path, page):
    code = (
        "from tests.miniature import harness; "
        f"w = harness.boot({str(tmp_path)!r}, {str(ROOT)!r}, family={str(tmp_path / 'f')!r}, "
        f"page={page}, api_auth='me:secret', skip_load_model_at_start=True); "
        "paths = [r.path for r in w.app.routes if r.path.startswith('/instantstyle')]; "
        "ask = lambda **k: [getattr(w.client, m)(p, **k).status_code "
        "for p in paths for m in ('get', 'post')]; "
        "print(len(paths), set(ask()), set(ask(auth=('me', 'guess'))), "
        "w.client.get('/instantstyle/version', auth=('me', 'secret')).status_code)"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    count, *rest = done.stdout.splitlines()[-1].split(maxsplit=1)
    assert int(count) >= 4
    assert rest == ["{401, 405} {401, 405} 200"]


def test_without_an_api_there_are_no_routes_of_ours(webui, monkeypatch):
    from fastapi import FastAPI

    from lib_instantstyle.hosts import api
    from lib_instantstyle.webui import routes

    app = FastAPI()
    routes.register(None, app)
    assert not [r for r in app.routes if r.path.startswith("/instantstyle")]
    # A guard that should be there and cannot be found counts as no API.
    monkeypatch.setattr(webui.shared.cmd_opts, "api_auth", "me:secret")
    assert api.api_guard(webui.app) is None


def test_the_start_costs_nothing_of_the_engine(tmp_path):
    code = (
        "import sys; from tests.miniature import harness; "
        f"w = harness.boot({str(tmp_path)!r}, {str(ROOT)!r}, family={str(tmp_path / 'f')!r}, "
        "page=True, skip_load_model_at_start=True); w.get('/instantstyle/version'); "
        "w.get('/instantstyle/presets'); "
        "print([m for m in sys.modules if m.startswith('lib_instantstyle.tensor')])"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
