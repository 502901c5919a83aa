"""When something breaks: what the user is told, and that the next picture is as if nothing was."""

from __future__ import annotations

import errno
import shutil

import pytest

from tests.host.test_extension import UNIT, hooks_on, session, style  # noqa: F401


@pytest.fixture
def webui(session):  # noqa: F811
    saved = dict(session.shared.opts.data)
    session.use("tiny_sd15.")
    yield session
    session.shared.opts.data = saved
    assert hooks_on(session.sd_model) == []


@pytest.fixture
def undisturbed(webui):
    """Checks that plain and styled pictures are what they were."""
    plain, styled = webui.txt2img().png, webui.txt2img(**style(UNIT)).png

    def check():
        assert hooks_on(webui.sd_model) == []
        assert webui.txt2img().png == plain
        assert webui.txt2img(**style(UNIT)).png == styled

    return check


def fail(*args, **kwargs):
    raise ZeroDivisionError("on purpose")


OURS = [
    "tensor.injection.Injection.attach",
    "tensor.injection.Injection._before_unet",
    "tensor.layer_hook.LayerHook._see_query",
    "tensor.layer_hook.LayerHook._add_terms",
    "hosts.denoiser.DenoiserClock.rows",
    "hosts.denoiser.DenoiserClock.fraction",
    "webui.sampling_pass.SamplingPass.__init__",
    "webui.run.Run._sample",
    "webui.run.Run._check_effect",
    "webui.preparing.prepare",
    "webui.features.features_of",
    "pure.infotext.unit_to_text",
]


@pytest.mark.parametrize("name", OURS)
def test_an_exception_in_a_function_of_ours_is_no_picture(webui, undisturbed, monkeypatch, name):
    import importlib

    module, *rest = name.split(".")[:2], name.split(".")[2:]
    owner = importlib.import_module("lib_instantstyle." + ".".join(module))
    *path, attribute = rest[0]
    for part in path:
        owner = getattr(owner, part)
    users = [owner]
    if name == "webui.preparing.prepare":
        users = [importlib.import_module("lib_instantstyle.webui.run")]
    if name == "pure.infotext.unit_to_text":
        users = [importlib.import_module("lib_instantstyle.webui.preparing")]
    with monkeypatch.context() as patch:
        for user in users:
            patch.setattr(user, attribute, fail)
        answer = webui.txt2img(expect=None, **style(UNIT))
    assert answer.status in (422, 500)
    assert "images" not in answer.body
    undisturbed()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_interrupt_at_any_step(webui, undisturbed, monkeypatch, step):
    from tests.miniature.networks import UNetModel

    forward, calls = UNetModel.forward, []

    def interrupt(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == step:
            webui.shared.state.interrupt()
        return forward(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(UNetModel, "forward", interrupt)
        webui.txt2img(**style(UNIT))
    assert len(calls) == step
    undisturbed()


def test_files_that_vanish_or_change_between_two_pictures(
    webui, undisturbed, monkeypatch, tmp_path
):
    from pathlib import Path

    import modules.paths_internal

    from lib_instantstyle.webui import preparing

    models = Path(modules.paths_internal.models_path)
    for file in models.rglob("*.safetensors"):
        if file.stem in ("ip-adapter_sd15", "CLIP-ViT-H-14"):
            shutil.copy(file, tmp_path / file.name)
    expected = webui.txt2img(**style(UNIT)).pixels
    with monkeypatch.context() as patch:
        patch.setattr(preparing, "model_folders", lambda: [tmp_path])
        assert webui.txt2img(**style(UNIT)).pixels == expected
        adapter = tmp_path / "ip-adapter_sd15.safetensors"
        whole = adapter.read_bytes()
        adapter.write_bytes(whole[: len(whole) // 2])
        answer = webui.txt2img(expect=422, **style({**UNIT, "adapter": "ip-adapter_sd15"}))
        assert "ip-adapter_sd15.safetensors" in answer.body["detail"]
        adapter.unlink()
        answer = webui.txt2img(expect=422, **style(UNIT))
        assert "no IP-Adapter for SD1.5" in answer.body["detail"]
        adapter.write_bytes(whole)
        assert webui.txt2img(**style(UNIT)).pixels == expected
    undisturbed()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_cannot_be_written_to_costs_no_picture(webui, undisturbed, monkeypatch, number):
    from lib_instantstyle.pure import atomic_file, bounded_folder
    from lib_instantstyle.tensor import embedding, word_vectors

    def full(*args, **kwargs):
        raise OSError(number, "cannot be written")

    with monkeypatch.context() as patch:
        for module in (atomic_file, bounded_folder, word_vectors):
            patch.setattr(module, "write_file", full)
        patch.setattr(embedding, "_remembered", type(embedding._remembered)())
        webui.txt2img(**style(UNIT))
    undisturbed()
