"""What the extension adds to the WebUI's start, counted: times would depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.test_extension import ROOT
from tests.miniature import harness

# Modules before the extension is there, with its page, and after a picture without a style.
MODULES = """
import json, sys
from tests.miniature import harness
webui = harness.boot({data!r}, family={family!r}, page=True)
webui.use("tiny_sd15.")
found = []
def look():
    found.append(sorted(sys.modules))
webui.txt2img()
look()
webui.add_extension({extension!r})
look()
webui.txt2img()
look()
print(json.dumps(found))
"""

# What paints, knows the formats of files, downloads, or answers the routes.
WHEN_USED = (
    "lib_instantstyle.tensor",
    "lib_instantstyle.hosts.a1111",
    "lib_instantstyle.pure.catalog",
    "lib_instantstyle.pure.model_file",
    "lib_instantstyle.pure.style_info",
    "lib_instantstyle.pure.tensor_info",
    "lib_instantstyle.webui.answers",
    "lib_instantstyle.webui.downloads_list",
    "lib_instantstyle.webui.listings",
    "lib_instantstyle.webui.run",
)


def test_nothing_is_imported_but_what_builds_the_page(tmp_path):
    code = MODULES.format(data=str(tmp_path), family=str(tmp_path / "f"), extension=str(ROOT))
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    without, with_page, after = map(set, json.loads(done.stdout.splitlines()[-1]))
    ours = {name for name in with_page if name.split(".")[0] == "lib_instantstyle"}
    assert with_page - without == ours  # no library that the WebUI has not imported itself
    assert "lib_instantstyle.webui.accordion" in ours
    assert not [name for name in ours if name.startswith(WHEN_USED)]
    assert after == with_page  # a picture without a style brings in nothing more


@pytest.fixture
def session():
    webui = harness.session()
    webui.add_extension(ROOT)
    return webui


def test_two_callbacks_are_registered_while_scripts_are_loaded(session, monkeypatch):
    """For each of them the WebUI looks through its stack, which takes long while it loads."""
    from modules import script_callbacks, scripts

    def registered():
        return [
            each.name
            for listed in script_callbacks.callback_map.values()
            for each in listed
            if Path(each.script).name == "instantstyle.py"
        ]

    load = scripts.load_scripts
    while_loading = []

    def counted():
        load()
        while_loading.extend(registered())

    monkeypatch.setattr(scripts, "load_scripts", counted)
    session.reload_ui()
    assert len(while_loading) == 2
    assert len(registered()) == 4
