"""Checkpoints: which objects stay and which change when another one is loaded."""

from __future__ import annotations


def forget_checkpoints(webui):
    """Only the loaded one stays, and there is room for no other."""
    from modules import sd_models

    webui.shared.opts.data["sd_checkpoints_limit"] = 1
    del sd_models.model_data.loaded_sd_models[1:]


def test_weights_of_the_same_layout_go_into_the_same_modules(webui, probe, tmp_path):
    import shutil

    from modules import sd_models

    forget_checkpoints(webui)
    source = sd_models.get_closet_checkpoint_match("tiny_sd15.").filename
    twin = sd_models.CheckpointInfo(shutil.copy(source, tmp_path / "twin.safetensors"))
    twin.register()
    try:
        before, layer = webui.unet, next(webui.unet.parameters())
        webui.use("twin")
        assert webui.unet is before
        assert next(webui.unet.parameters()) is layer
        assert len(probe.of("model_loaded")) == 1
        assert webui.txt2img().parameters["Model"] == "twin"
    finally:
        sd_models.list_models()


def test_another_layout_is_another_object_and_the_same_layout_is_not(webui, probe):
    forget_checkpoints(webui)
    before = webui.unet
    webui.use("tiny_sdxl.")
    assert webui.unet is not before
    assert len(probe.of("model_loaded")) == 1
    assert next(before.parameters()).device.type == "meta"
    sdxl = webui.unet
    webui.use("tiny_sdxl.")
    assert webui.unet is sdxl
    assert len(probe.of("model_loaded")) == 1


def test_a_kept_checkpoint_comes_back_without_the_callback(webui, probe):
    webui.use("tiny_sdxl.")
    sdxl = webui.unet
    webui.use("tiny_sd15.")
    probe.reset()
    webui.use("tiny_sdxl.")
    assert webui.unet is sdxl
    assert probe.of("model_loaded") == []


def test_the_refiner_takes_over_inside_sampling(webui):
    with webui.record() as recorder:
        answer = webui.txt2img(steps=6, refiner_checkpoint="tiny_sdxl", refiner_switch_at=0.5)
    assert answer.parameters["Refiner"].startswith("tiny_sdxl")
    assert answer.parameters["Refiner switch at"] == "0.5"
    kinds = [x.keywords for x in recorder.calls]
    assert kinds[0] == ("context",)
    assert kinds[-1] == ("timesteps", "context", "y")
    assert webui.txt2img().parameters["Model"] == "tiny_sd15"
