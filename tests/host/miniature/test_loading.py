"""How extensions are loaded, and loaded again."""

from __future__ import annotations

from tests.miniature import harness


def test_how_the_extension_was_loaded(webui, probe):
    import sys

    assert webui.shared.cmd_opts.probe_flag == "unset"
    assert "probe.py" not in sys.modules
    script = webui.script("Probe")
    assert type(script).__module__ == "probe.py"
    assert str(harness.PROBE) not in sys.path
    assert script.name == "probe"
    assert webui.get("/probe/state").json()["version"] == 1


def test_reload_ui(session, probe):
    import lib_probe as before

    old = session.script("Probe")
    probe.reset()
    session.reload_ui()
    assert session.script("Probe") is not old
    import lib_probe as after

    assert before is after
    order = [
        x
        for x in probe.names()
        if x in ("before_reload", "script_unloaded", "before_ui", "app_started")
    ]
    assert order == ["before_reload", "script_unloaded", "before_ui", "app_started"]
    assert session.txt2img().images
    assert probe.names().count("process") == 1


def test_restricted_torch_load_returns_none(webui, tmp_path):
    import pickle

    import torch

    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(Evil()))
    assert torch.load(str(path)) is None
