"""What the extension adds to the WebUI's start, counted: times would depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

from tests.host.generations import ROOT
from tests.miniature.tiny.linked import FAMILY

# Modules before the extension is there, with its page, after a picture without a style, and after
# what other programs ask first.
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
webui.get("/instantstyle/version")
webui.get("/instantstyle/presets")
look()
print(json.dumps(found))
"""

# What paints, knows the formats of files, downloads, or answers the routes.
WHEN_USED = (
    "lib_instantstyle.unet",
    "lib_instantstyle.clip",
    "lib_instantstyle.references",
    "lib_instantstyle.content",
    "lib_instantstyle.methods.base",
    "lib_instantstyle.hosts.a1111",
    "lib_instantstyle.models.catalog",
    "lib_instantstyle.files.model_file",
    "lib_instantstyle.styles.header",
    "lib_instantstyle.files.tensor_info",
    "lib_instantstyle.api.answers",
    "lib_instantstyle.page.download_list",
    "lib_instantstyle.api.listings",
    "lib_instantstyle.run.run",
)


def test_nothing_is_imported_but_what_builds_the_page(tmp_path):
    code = MODULES.format(data=str(tmp_path), family=str(FAMILY), extension=str(ROOT))
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    without, with_page, after_picture, after_answers = map(
        set, json.loads(done.stdout.splitlines()[-1])
    )
    ours = {name for name in with_page if name.split(".")[0] == "lib_instantstyle"}
    assert with_page - without == ours  # no library that the WebUI has not imported itself
    assert "lib_instantstyle.page.accordion" in ours
    assert not [name for name in ours if name.startswith(WHEN_USED)]
    assert after_picture == with_page  # one without a style
    engine = ("lib_instantstyle.unet", "lib_instantstyle.clip", "lib_instantstyle.run.run")
    assert not [name for name in after_answers if name.startswith(engine)]


def test_the_webui_never_searches_its_stack_for_our_script(session, monkeypatch):
    """It does for a callback that is registered without a file; that takes up to 90 ms."""
    from modules import script_callbacks

    searches = []
    caller = script_callbacks._caller

    def searched():
        searches.append(caller())
        return searches[-1]

    monkeypatch.setattr(script_callbacks, "_caller", searched)
    session.reload_ui()
    ours = [
        each
        for listed in script_callbacks.callback_map.values()
        for each in listed
        if Path(each.script) == ROOT / "scripts" / "instantstyle.py"
    ]
    assert {each.name.rsplit("/", 1)[1] for each in ours} == {
        "app_started",
        "before_ui",
        "cfg_denoiser",
    }
    assert len(ours) == 3
    assert searches  # others' scripts
    assert not [name for name in searches if Path(name).is_relative_to(ROOT / "scripts")]
    assert not [name for name in searches if Path(name).is_relative_to(ROOT / "lib_instantstyle")]


def test_a_callback_of_classic_has_a_file_and_no_name(session, monkeypatch):
    from modules import script_callbacks

    from lib_instantstyle.hosts import page

    classic = namedtuple("ScriptCallback", ["script", "callback"])
    monkeypatch.setattr(script_callbacks, "add_callback", lambda page, fun: None)
    monkeypatch.setattr(script_callbacks, "ScriptCallback", classic)
    monkeypatch.setitem(script_callbacks.callback_map, "callbacks_cfg_denoiser", [])
    page.register_callback(script_callbacks.on_cfg_denoiser, print, "script.py")
    listed = script_callbacks.callback_map["callbacks_cfg_denoiser"]
    assert listed == [classic("script.py", print)]


def test_a_function_that_another_extension_has_replaced_is_called(session):
    from lib_instantstyle.hosts import page

    registered = []
    page.register_callback(registered.append, print, "script.py")
    assert registered == [print]
