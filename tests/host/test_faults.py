"""When something breaks: what the user is told, and that the next picture is as if nothing was."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.host.generations import ROOT, UNIT, style
from tests.host.watching import hooks_on


@pytest.fixture
def undisturbed(webui):
    """Checks that plain and styled pictures are what they were."""
    plain, styled = webui.txt2img().png, webui.txt2img(**style(UNIT)).png

    def check():
        assert hooks_on(webui.sd_model) == []
        assert webui.txt2img().png == plain
        assert webui.txt2img(**style(UNIT)).png == styled

    return check


def own_folder():
    from lib_instantstyle.hosts.folders import own_folder

    return own_folder()


def restart():
    """What only this process remembers of references is gone."""
    from lib_instantstyle.references import vectors

    vectors.cache().tensors.clear()


def forget():
    """No reference was ever seen."""
    restart()
    for made in ("cache", "references", "crops"):
        shutil.rmtree(own_folder() / made, ignore_errors=True)


def fail(*args, **kwargs):
    raise ZeroDivisionError("on purpose")


OURS = [
    "unet.injection.Injection.attach",
    "unet.injection.Injection._before_unet",
    "unet.attention_hook.LayerHook._see_query",
    "unet.attention_hook.LayerHook._add_terms",
    "hosts.denoiser.DenoiserClock.rows",
    "hosts.denoiser.DenoiserClock.fraction",
    "run.sampling_pass.SamplingPass.__init__",
    "run.run.Run._pass",
    "run.run.Run._check_effect",
    "methods.ip_adapter.method.IPAdapter.prepare",
    "methods.ip_adapter.method.unit_features",
    "methods.ip_adapter.method.unit_to_text",
]


def module_at(parts):
    """Whether there is a folder or a file of ours there."""
    path = ROOT.joinpath("lib_instantstyle", *parts)
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize("name", OURS)
def test_an_exception_in_a_function_of_ours_is_no_picture(webui, undisturbed, monkeypatch, name):
    import importlib

    parts = name.split(".")
    files = next(i for i, part in enumerate(parts) if not module_at(parts[: i + 1]))
    owner = importlib.import_module(".".join(["lib_instantstyle", *parts[:files]]))
    *path, attribute = parts[files:]
    for part in path:
        owner = getattr(owner, part)
    with monkeypatch.context() as patch:
        patch.setattr(owner, attribute, fail)
        answer = webui.txt2img(expect=None, **style(UNIT))
    assert answer.status in (422, 500)
    assert "images" not in answer.body
    undisturbed()


# -- memory --------------------------------------------------------------------------------------


def test_without_memory_on_the_device_the_encoder_runs_on_the_cpu_once(
    webui, undisturbed, monkeypatch, said
):
    """The device is one that is not here; nothing but the image encoder is told of it."""
    import torch

    from lib_instantstyle.methods.ip_adapter import features
    from lib_instantstyle.references import vectors

    load, tried = vectors.load_image_encoder, []

    def full(path, kind, device, *rest):
        tried.append(device.type)
        if device.type != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return load(path, kind, device, *rest)

    expected = webui.txt2img(**style(UNIT)).pixels
    assert said == []
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(vectors, "load_image_encoder", full)
        patch.setattr(
            features,
            "image_embeds",
            lambda context: replace(vectors.image_embeds(context), device=torch.device("cuda")),
        )
        assert webui.txt2img(**style(UNIT)).pixels == expected
    assert tried == ["cuda", "cpu"]
    assert len(said) == 1 and "cuda has not enough memory for the image encoder" in said[0]
    assert "it ran on the CPU" in said[0]
    undisturbed()


@pytest.mark.parametrize("at", ["load_image_encoder", "run"])
def test_without_memory_anywhere_there_is_one_sentence_and_no_picture(
    webui, undisturbed, monkeypatch, at
):
    from lib_instantstyle.clip import image_encoder
    from lib_instantstyle.references import vectors

    def full(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    forget()
    with monkeypatch.context() as patch:
        if at == "run":
            patch.setattr(image_encoder.ImageEncoder, "forward", full)
        else:
            patch.setattr(vectors, at, full)
        answer = webui.txt2img(expect=422, **style(UNIT))
    assert "there is not enough memory for the image encoder" in answer.body["detail"]
    undisturbed()


# -- interruption --------------------------------------------------------------------------------

HIRES = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "denoising_strength": 0.9,
         "steps": 3}  # fmt: skip


@pytest.mark.parametrize("press", ["interrupt", "skip"])
@pytest.mark.parametrize("step", range(1, 6))
def test_an_interrupt_at_any_step(webui, undisturbed, monkeypatch, step, press):
    """Of both passes of hires fix: three steps and, of as many, those that are left to do."""
    from tests.miniature.networks import UNetModel

    forward, calls = UNetModel.forward, []

    def interrupt(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == step:
            getattr(webui.shared.state, press)()
        return forward(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(UNetModel, "forward", interrupt)
        webui.txt2img(**HIRES, **style(UNIT))
    assert len(calls) == step
    undisturbed()


def test_an_interrupt_while_the_reference_is_encoded(webui, undisturbed, monkeypatch):
    from lib_instantstyle.references import vectors
    from tests.miniature.networks import UNetModel

    load, forward, calls = vectors.load_image_encoder, UNetModel.forward, []

    def interrupt(*args):
        webui.shared.state.interrupt()
        return load(*args)

    def count(self, *args, **kwargs):
        calls.append(1)
        return forward(self, *args, **kwargs)

    forget()
    with monkeypatch.context() as patch:
        patch.setattr(vectors, "load_image_encoder", interrupt)
        patch.setattr(UNetModel, "forward", count)
        webui.txt2img(**style(UNIT))
    assert calls == []
    undisturbed()


# -- files ---------------------------------------------------------------------------------------


@pytest.fixture
def fleeting(webui):
    """A checkpoint that is chosen, and may be deleted or replaced."""
    from modules import paths_internal

    folder = Path(paths_internal.models_path) / "Stable-diffusion"
    file = folder / "fleeting.safetensors"
    copy(folder / "tiny_sd15.safetensors", file)
    webui.post("/sdapi/v1/refresh-checkpoints")
    webui.use("fleeting.")
    yield file
    webui.use("tiny_sd15.")
    for made in (file, file.with_suffix(".yaml")):
        made.unlink(missing_ok=True)
    webui.post("/sdapi/v1/refresh-checkpoints")


def copy(source, target):
    for suffix in (".safetensors", ".yaml"):
        target.with_suffix(suffix).unlink(missing_ok=True)
        shutil.copy(source.with_suffix(suffix), target.with_suffix(suffix))


def test_a_checkpoint_that_is_deleted_between_two_pictures(webui, undisturbed, fleeting):
    expected = webui.txt2img(**style(UNIT)).pixels
    fleeting.unlink()
    assert webui.txt2img(**style(UNIT)).pixels == expected  # it is in memory
    assert webui.post("/instantstyle/plan", {"units": [UNIT]}).json()["problems"] == []
    webui.use("tiny_sdxl.")
    webui.shared.opts.data["sd_model_checkpoint"] = "fleeting.safetensors"
    for path in ("blocks", "adapters"):  # of a checkpoint that is chosen and nowhere to be had
        assert webui.get(f"/instantstyle/{path}").status_code in (200, 422)
    assert webui.post("/instantstyle/plan", {"units": [UNIT]}).status_code == 200
    webui.use("tiny_sd15.")
    undisturbed()


def test_a_checkpoint_that_is_replaced_between_two_pictures(webui, undisturbed, fleeting):
    """By one of another family under the same name, which the WebUI loads when it is told to."""
    expected = webui.txt2img(**style(UNIT)).pixels
    copy(fleeting.with_name("tiny_sdxl.safetensors"), fleeting)
    assert webui.txt2img(**style(UNIT)).pixels == expected
    webui.use("tiny_sdxl.")
    plain, styled = webui.txt2img().pixels, webui.txt2img(**style(UNIT)).pixels
    webui.use("fleeting.")
    assert webui.get("/instantstyle/blocks").json()["layout"] == "sdxl"
    assert webui.txt2img().pixels == plain
    assert webui.txt2img(**style(UNIT)).pixels == styled
    webui.use("tiny_sd15.")
    undisturbed()


def test_files_that_vanish_or_change_between_two_pictures(
    webui, undisturbed, monkeypatch, tmp_path
):
    import modules.paths_internal

    from lib_instantstyle.hosts import context

    models = Path(modules.paths_internal.models_path)
    for file in models.rglob("*.safetensors"):
        if file.stem in ("ip-adapter_sd15", "CLIP-ViT-H-14"):
            shutil.copy(file, tmp_path / file.name)
    expected = webui.txt2img(**style(UNIT)).pixels
    with monkeypatch.context() as patch:
        patch.setattr(context, "model_folders", lambda: [tmp_path])
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


# -- the disk ------------------------------------------------------------------------------------


@contextmanager
def refusing(number, *methods):
    """Nothing can be made in our folder; half of what is written to a full disk arrives."""

    def refuse(method):
        real = getattr(Path, method)

        def around(path, *args, **kwargs):
            if own_folder() not in (path, *path.parents):
                return real(path, *args, **kwargs)
            if number == errno.ENOSPC:
                real(path, args[0][: len(args[0]) // 2])
            raise OSError(number, os.strerror(number))

        return around

    with pytest.MonkeyPatch.context() as patch:
        for method in methods:
            patch.setattr(Path, method, refuse(method))
        yield


READ_ONLY = ("mkdir", "write_bytes", "unlink", "replace", "rename")
DISKS = {
    "full": lambda: refusing(errno.ENOSPC, "write_bytes"),
    "read-only": lambda: refusing(errno.EROFS, *READ_ONLY),
    "not ours": lambda: refusing(errno.EACCES, *READ_ONLY),
}


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("disk", list(DISKS))
def test_a_disk_that_cannot_be_written_to_costs_no_picture(webui, undisturbed, said, disk):
    webui.set(instantstyle_save_crops=True)
    expected = webui.txt2img(**style(UNIT)).pixels
    assert said == []
    forget()
    before = files_in(own_folder())
    with DISKS[disk]():
        assert webui.txt2img(**style(UNIT)).pixels == expected
    assert files_in(own_folder()) == before
    told = " ".join(said)
    for sentence in (
        "embeddings cannot be kept in",
        "references cannot be kept in",
        "could not be saved",
    ):
        assert sentence in told, told
    undisturbed()
    forget()


@pytest.mark.parametrize("disk", list(DISKS))
def test_a_style_that_cannot_be_written_is_refused_and_leaves_nothing(webui, undisturbed, disk):
    webui.txt2img(**style(UNIT))
    before = files_in(own_folder())
    with DISKS[disk]():
        answer = webui.post("/instantstyle/embed", {**UNIT, "name": "ink"})
    assert answer.status_code == 422
    assert "style 'ink' cannot be saved" in answer.json()["detail"]
    assert files_in(own_folder()) == before
    assert webui.get("/instantstyle/styles").json() == {"styles": [], "refused": []}
    undisturbed()


DAMAGE = {
    "half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "changed": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "another": lambda data: json.dumps({"no": "cache"}).encode(),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_cache_costs_one_more_encoding(webui, undisturbed, said, monkeypatch, damage):
    from lib_instantstyle.references import vectors

    forget()
    expected = webui.txt2img(**style(UNIT)).pixels
    sound = files_in(own_folder() / "cache") | files_in(own_folder() / "references")
    assert len(sound) >= 3  # an vectors, its folder's tag, a picture
    for path, data in sound.items():
        path.write_bytes(DAMAGE[damage](data))
    load, loaded = vectors.load_image_encoder, []
    monkeypatch.setattr(
        vectors, "load_image_encoder", lambda *args: loaded.append(1) or load(*args)
    )
    for times in (1, 1):  # the second time from the mended cache
        restart()
        assert webui.txt2img(**style(UNIT)).pixels == expected
        assert len(loaded) == times
    assert said == []
    pictures = files_in(own_folder() / "references")
    assert pictures and pictures.items() <= sound.items()  # the pictures are mended too
    undisturbed()
