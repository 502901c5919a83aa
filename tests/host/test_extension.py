"""The extension inside a WebUI: rows, life of the patch, errors, what is left behind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.host.generations import PICTURES, UNIT, picture, style
from tests.host.miniature.cases import CHECKPOINTS, ROWS
from tests.host.watching import KINDS, hooks_on, watch_hooks
from tests.miniature.recorder import Recorder

pytestmark = pytest.mark.usefixtures("all_checkpoints_in_memory")


@pytest.fixture(params=CHECKPOINTS)
def checkpoint(request):
    return request.param


# -- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", list(ROWS))
def test_our_rows_are_the_real_rows(webui, case, monkeypatch):
    """The recorder finds out by content which row is which; we must have come to the same."""
    from lib_instantstyle.hosts.denoiser import DenoiserClock

    taken = []
    rows = DenoiserClock.rows

    def spy(self, call):
        taken.append(rows(self, call))
        return taken[-1]

    monkeypatch.setattr(DenoiserClock, "rows", spy)
    fields, options, _ = ROWS[case]
    webui.shared.opts.data.update(options)
    with Recorder() as recorder:
        webui.txt2img(**{"batch_size": 2, **fields}, **style(UNIT))
    assert taken
    assert taken == [tuple(KINDS[row[0]] for row in call.rows) for call in recorder.calls]


@pytest.mark.parametrize("order", [(0, 1, 0, 1), (1, 0, 1, 0), (0, 0, 1, 1)])
def test_rows_of_tiles_are_told_apart_by_what_they_hold(webui, order, monkeypatch):
    """MultiDiffusion puts the rows of several tiles into one UNet call, in an order of its own."""
    import torch

    from lib_instantstyle.hosts.denoiser import DenoiserClock
    from tests.miniature.networks import UNetModel

    rows, forward = DenoiserClock.rows, UNetModel.forward
    seen = []
    monkeypatch.setattr(
        DenoiserClock, "rows", lambda self, call: seen.append(rows(self, call)) or seen[-1]
    )
    webui.txt2img(negative_prompt="blurry", **style(UNIT))
    usual = seen.pop()  # A1111 has the prompt first, Forge the negative prompt
    seen.clear()
    call = type(webui.unet).__call__

    def in_tiles(self, *args, **kwargs):
        if args[0].shape[0] != 2:
            return call(self, *args, **kwargs)
        index = torch.tensor(order)
        args = tuple(a[index] for a in args)
        kwargs = {k: v[index] if torch.is_tensor(v) else v for k, v in kwargs.items()}
        out = call(self, *args, **kwargs)
        first = [order.index(0), order.index(1)]
        return out[first]

    monkeypatch.setattr(UNetModel, "__call__", in_tiles, raising=False)
    styled = webui.txt2img(negative_prompt="blurry", **style(UNIT))
    assert seen == [tuple(usual[row] for row in order)] * 2
    monkeypatch.undo()
    assert UNetModel.forward is forward
    expected = webui.txt2img(negative_prompt="blurry", **style(UNIT))
    a, b = (x.images[0].convert("RGB") for x in (styled, expected))
    worst = max(abs(p - q) for p, q in zip(a.tobytes(), b.tobytes()))
    assert worst <= 2  # the same rows in other places: rounding only


# -- life of the patch ---------------------------------------------------------------------------


def test_hooks_stand_only_on_the_selected_layers_and_only_while_sampling(webui, monkeypatch):
    seen = watch_hooks(monkeypatch)
    webui.txt2img(**style(UNIT))
    layers = {"tiny_sdxl": 10, "tiny_sd15": 3}[webui.sd_model.sd_checkpoint_info.model_name]
    assert set(seen) == {1 + 2 * layers}
    assert hooks_on(webui.sd_model) == []
    seen.clear()
    webui.txt2img()
    assert set(seen) == {0}


@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError, RuntimeError])
def test_an_exception_while_sampling_leaves_nothing(webui, monkeypatch, error):
    plain, styled = webui.txt2img().png, webui.txt2img(**style(UNIT)).png
    from tests.miniature.networks import UNetModel

    forward = UNetModel.forward
    calls = []

    def fail_in_the_second_step(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise error("on purpose")
        return forward(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(UNetModel, "forward", fail_in_the_second_step)
        assert webui.txt2img(**style(UNIT), expect=None).status == 500
    assert hooks_on(webui.sd_model) == []
    assert webui.txt2img().png == plain
    assert webui.txt2img(**style(UNIT)).png == styled


@pytest.mark.parametrize("net", ["__exit__", "clear"])
def test_either_of_two_nets_alone_leaves_nothing(webui, monkeypatch, net):
    """Hooks are taken off where the pass is left, and once more behind it should that fail."""
    from lib_instantstyle.run.sampling_pass import SamplingPass

    plain = webui.txt2img().png
    with monkeypatch.context() as patch:
        patch.setattr(SamplingPass, net, lambda self, *args: None)
        assert webui.txt2img(**style(UNIT)).png != plain
        assert hooks_on(webui.sd_model) == []
    assert webui.txt2img().png == plain


def test_an_exception_in_our_own_hook_is_no_picture(webui, monkeypatch):
    from lib_instantstyle.unet import attention_hook

    plain = webui.txt2img().png

    def broken(self, *args):
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(attention_hook.LayerHook, "_attended", broken)
        answer = webui.txt2img(**style(UNIT), expect=422)
    assert "could not be added in " in answer.body["detail"]
    assert "RuntimeError: on purpose" in answer.body["detail"]
    assert hooks_on(webui.sd_model) == []
    assert webui.txt2img().png == plain


def test_an_interrupt_leaves_nothing(webui, monkeypatch):
    plain = webui.txt2img().png
    from tests.miniature.networks import UNetModel

    forward = UNetModel.forward

    def interrupt(self, *args, **kwargs):
        webui.shared.state.interrupt()
        return forward(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(UNetModel, "forward", interrupt)
        webui.txt2img(**style(UNIT))
    assert hooks_on(webui.sd_model) == []
    assert webui.txt2img().png == plain


def test_hires_fix_and_batches_compute_keys_and_values_once(webui, monkeypatch):
    from lib_instantstyle.methods.ip_adapter import banks

    made = []
    real = banks.keys_and_values
    banks.SESSION.of(banks.BankCache).clear()

    def counted(*args, **kwargs):
        made.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(banks, "keys_and_values", counted)
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}
    webui.txt2img(n_iter=2, batch_size=2, **hires, **style(UNIT))
    assert len(made) == 1


def test_a_known_reference_costs_no_encoder(webui, monkeypatch):
    from lib_instantstyle.references import vectors

    webui.txt2img(**style(UNIT))

    def never(*args, **kwargs):
        raise AssertionError("the encoder was built again")

    monkeypatch.setattr(vectors, "load_image_encoder", never)
    webui.txt2img(**style(UNIT))


def test_the_encoder_stays_only_where_the_user_asks_for_it(webui, monkeypatch):
    from lib_instantstyle.references import vectors

    built = []
    real = vectors.load_image_encoder
    monkeypatch.setattr(vectors, "load_image_encoder", lambda *a: built.append(1) or real(*a))
    monkeypatch.setattr(vectors.cache(), "tensors", type(vectors.cache().tensors)())
    both = style(UNIT), style({"image": picture("deep_field.jpg")})
    webui.set(instantstyle_keep_encoder=True)
    for unit in both:
        webui.txt2img(**unit)
    assert len(built) == 1 and len(vectors.cache().encoders) == 1
    webui.set(instantstyle_keep_encoder=False)
    webui.txt2img(**both[0])
    assert not vectors.cache().encoders


def test_what_the_encoder_sees_is_saved_on_request(webui):
    import numpy as np
    from modules import paths_internal
    from PIL import Image

    folder = Path(paths_internal.models_path) / "InstantStyle" / "crops"
    webui.txt2img(**style(UNIT))
    assert not folder.exists()
    webui.set(instantstyle_save_crops=True)
    try:
        answer = webui.txt2img(**style(UNIT))
        (file,) = folder.iterdir()
        assert file.stem.split("-")[0] in answer.infotexts[0]
        crop = Image.open(file)
        assert crop.size == (224, 224) and crop.mode == "RGB"
        whole = Image.open(PICTURES / "coffee.jpg")
        short = min(whole.size)
        left = (whole.width - short) // 2
        middle = whole.crop((left, 0, left + short, short)).resize((224, 224))
        assert np.abs(np.asarray(crop, float) - np.asarray(middle, float)).mean() < 4
    finally:
        webui.set(instantstyle_save_crops=False)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_a_crop_that_cannot_be_saved_is_said_and_stops_nothing(tmp_path):
    from PIL import Image

    from lib_instantstyle.references.store import save_crops

    (tmp_path / "file").write_text("no folder")
    views = [Image.new("RGB", (224, 224), colour) for colour in ("red", "blue")]
    assert "could not be saved" in save_crops("1a", "1a", views, tmp_path / "file" / "crops")
    assert save_crops("1a", "1a", views, tmp_path / "crops") is None
    assert save_crops("1a", "1a; tiles", views, tmp_path / "crops") is None
    names = sorted(file.name for file in (tmp_path / "crops").iterdir())
    plain = [name for name in names if re.fullmatch(r"1a-224(-2)?\.png", name)]
    tiles = [name for name in names if re.fullmatch(r"1a-224-[0-9a-f]{6}(-2)?\.png", name)]
    assert len(plain) == len(tiles) == 2 and len(names) == 4


# -- silent paths --------------------------------------------------------------------------------


def test_a_script_that_samples_by_itself_is_an_error_not_a_picture(webui, monkeypatch):
    """As "img2img alternative test" does: it replaces p.sample before the generation starts."""
    from modules import processing

    init = processing.StableDiffusionProcessingTxt2Img.init

    def replace_sample(self, *args, **kwargs):
        import torch

        self.sample = lambda **_: torch.zeros(1, 4, 8, 8)
        return init(self, *args, **kwargs)

    monkeypatch.setattr(processing.StableDiffusionProcessingTxt2Img, "init", replace_sample)
    answer = webui.txt2img(**style(UNIT), expect=422)
    assert "does the sampling itself" in answer.body["detail"]
    assert webui.txt2img().status == 200


def test_a_replaced_unet_is_an_error_not_a_picture(webui, monkeypatch):
    """As TensorRT does: the WebUI's UNet is called, but its layers are not."""
    import torch

    from tests.miniature.networks import UNetModel

    monkeypatch.setattr(UNetModel, "forward", lambda self, x, *a, **k: torch.zeros_like(x[:, :4]))
    answer = webui.txt2img(**style(UNIT), expect=422)
    assert "cross-attention was never reached" in answer.body["detail"]


def test_a_range_without_a_step_says_so_and_makes_the_plain_picture(webui, monkeypatch):
    from modules import processing

    said = []
    monkeypatch.setattr(
        processing.StableDiffusionProcessing, "comment", lambda self, text: said.append(text)
    )
    plain = webui.txt2img()
    assert said == []
    answer = webui.txt2img(**style({**UNIT, "start": 0.9, "end": 1.0}))
    assert answer.pixels == plain.pixels
    assert said == [
        "InstantStyle: unit 1: it changed nothing, because no sampling step falls between start "
        "and end."
    ]


def test_the_upscale_button_skips_the_first_pass_and_is_styled(webui):
    from modules import processing, scripts

    first = webui.txt2img().images[0]
    p = processing.StableDiffusionProcessingTxt2Img(
        sd_model=webui.sd_model, prompt="a cat", steps=3, width=64, height=64, seed=1,
        sampler_name="Euler", enable_hr=True, hr_scale=2, hr_upscaler="Latent",
        denoising_strength=0.7, do_not_save_samples=True, do_not_save_grid=True,
    )  # fmt: skip
    p.firstpass_image = first
    p.txt2img_upscale = True
    runner = scripts.scripts_txt2img
    ours = webui.script("InstantStyle")
    arguments = list(webui.api.default_script_arg_txt2img)
    arguments[ours.args_from] = UNIT
    p.scripts, p.script_args = runner, tuple(arguments)
    processed = processing.process_images(p)
    assert "InstantStyle 1" in processed.infotexts[0]


# -- files ---------------------------------------------------------------------------------------


def folders_with(tmp_path, webui, *names):
    """A folder that holds links to some of the tiny files."""
    import modules.paths_internal

    for file in Path(modules.paths_internal.models_path).rglob("*.safetensors"):
        if file.stem in names:
            (tmp_path / file.name).symlink_to(file)
    return [tmp_path]


@pytest.mark.parametrize(
    ("present", "sentence"),
    [
        ([], "no IP-Adapter for "),
        (["ip-adapter_sdxl", "ip-adapter_sd15"], "needs the CLIP image encoder"),
        (["CLIP-ViT-bigG", "CLIP-ViT-H-14"], "no IP-Adapter for "),
    ],
)
def test_what_is_missing_is_named(webui, tmp_path, monkeypatch, present, sentence):
    from lib_instantstyle.hosts import context

    plain = webui.txt2img().png
    monkeypatch.setattr(context, "model_folders", lambda: folders_with(tmp_path, webui, *present))
    answer = webui.txt2img(**style(UNIT), expect=422)
    assert sentence in answer.body["detail"] and "put " in answer.body["detail"]
    assert webui.txt2img().png == plain


def test_a_damaged_adapter_is_named(webui, tmp_path, monkeypatch):
    from lib_instantstyle.hosts import context

    (tmp_path / "broken.safetensors").write_bytes(b"\x10" + b"\0" * 40)
    folders = folders_with(tmp_path, webui, "CLIP-ViT-bigG", "CLIP-ViT-H-14")
    monkeypatch.setattr(context, "model_folders", lambda: folders)
    answer = webui.txt2img(**style({**UNIT, "adapter": "broken"}), expect=422)
    assert "broken.safetensors" in answer.body["detail"]


# -- state that the WebUI shares -----------------------------------------------------------------


def test_a_batch_folder_uses_one_p_and_leaves_no_stale_infotext(webui):
    from modules import processing, scripts

    ours = webui.script("InstantStyle")

    def run(p, unit):
        arguments = list(webui.api.default_script_arg_txt2img)
        arguments[ours.args_from] = unit
        p.scripts, p.script_args = scripts.scripts_txt2img, tuple(arguments)
        return processing.process_images(p)

    p = processing.StableDiffusionProcessingTxt2Img(
        sd_model=webui.sd_model, prompt="a cat", steps=2, width=64, height=64, seed=1,
        sampler_name="Euler", do_not_save_samples=True, do_not_save_grid=True,
    )  # fmt: skip
    first = run(p, UNIT)
    second = run(p, False)
    assert "InstantStyle 1" in first.infotexts[0]
    assert "InstantStyle" not in second.infotexts[0]
    assert not [name for name in vars(p) if "instantstyle" in name]
    assert "sample" not in vars(p) and "init" not in vars(p)


def test_infotext_restores_the_page(webui):
    from modules import infotext_utils

    unit = {**UNIT, "preset": "layout", "weight": 0.7, "start": 0.1, "end": 0.8, "blocks": "6:1"}
    params = webui.txt2img(**style({"enabled": False}, unit)).parameters
    fields = {f.component.elem_id: f for f in infotext_utils.paste_fields["txt2img"]["fields"]}

    def pasted(number, name):
        field = fields[f"script_txt2img_instantstyle_unit_{number}_{name}"]
        return field.function(params)

    family = webui.sd_model.sd_checkpoint_info.model_name.removeprefix("tiny_")
    expected = {
        "enabled": True,
        "preset": "layout",
        "weight": 0.7,
        "layout_weight": 0.7,  # "as the weight", which a slider says with its number
        "start": 0.1,
        "end": 0.8,
        "blocks": "6=1",
        "adapter": f"ip-adapter_{family}",
        "report": False,
        "image": f"data:image/jpeg;base64,{UNIT['image']}",
        "mask": "",
    }
    assert {name: pasted(2, name) for name in expected} == expected
    # Units that are not named are switched off and keep their values.
    assert [pasted(number, "enabled") for number in (1, 3)] == [False, False]
    assert pasted(1, "weight") is None
    enabled = fields["script_txt2img_instantstyle_enabled-checkbox"].function
    assert enabled(params) is True and enabled({"Steps": "3"}) is False


def test_infotext_in_a_request_restores_the_unit_and_its_kept_pictures(webui):
    unit = {"image": [{"image": UNIT["image"], "weight": 0.5}, picture("deep_field.jpg")]}
    styled = webui.txt2img(**style({**unit, "weight": 0.7, "end": 0.8}))
    assert webui.txt2img(infotext=styled.infotexts[0]).pixels == styled.pixels


@pytest.mark.parametrize(
    ("limit", "most", "count"), [("REFERENCES", 16, 5000), ("PASTED_BYTES", 10**5, 16)]
)
def test_infotext_brings_back_no_more_pictures_than_a_unit_has(
    webui, monkeypatch, limit, most, count
):
    """One kept picture, named many times."""
    from lib_instantstyle import limits
    from lib_instantstyle.page.paste import kept_pictures

    line = webui.txt2img(**style(UNIT)).infotexts[0]
    digest = re.search(r"reference: (\w{12})", line)[1]
    monkeypatch.setattr(limits, limit, most)
    assert len(json.loads(kept_pictures(" ".join([digest] * 2)))) == 2
    assert kept_pictures(" ".join([digest] * count)) == f"gone:{digest}"


def test_infotext_in_a_request_without_its_reference_is_refused(webui):
    several = {
        **UNIT,
        "image": [{"image": UNIT["image"], "weight": 0.5}, picture("deep_field.jpg")],
    }
    for unit in (UNIT, several):
        infotext = webui.txt2img(**style({**unit, "weight": 0.7})).infotexts[0]
        webui.set(instantstyle_reference_store_mb=0)
        refused = webui.txt2img(infotext=infotext, expect=422)
        webui.set(instantstyle_reference_store_mb=200)
        assert "unit 1: image is the picture" in refused.body["detail"]
        assert "of an infotext, which is not kept here" in refused.body["detail"]


def test_one_of_several_pictures_that_is_gone_leaves_the_others(webui):
    from lib_instantstyle.hosts import own_folder

    unit = {"image": [{"image": UNIT["image"], "weight": 0.5}, picture("deep_field.jpg")]}
    webui.txt2img(**style(UNIT))
    infotext = webui.txt2img(**style(unit)).infotexts[0]
    first, second = re.search(r"reference: (\w{12})\*0.5 (\w{12})", infotext).groups()
    (kept,) = (own_folder() / "references").glob(f"{second}*")
    kept.unlink()
    from lib_instantstyle.page.paste import kept_pictures

    pasted = json.loads(kept_pictures(f"{first}*0.5 {second}"))
    assert [each["weight"] for each in pasted] == ["0.5", 1]
    assert pasted[0]["image"].startswith("data:image/") and pasted[1]["image"] == f"gone:{second}"
    refused = webui.txt2img(infotext=infotext, expect=422)
    assert f"image is the picture '{second}' of an infotext" in refused.body["detail"]
    named = f"reference: {first}, mask: {second}"
    infotext = infotext.replace(f"reference: {first}*0.5 {second}", named)
    refused = webui.txt2img(infotext=infotext, expect=422)
    assert f"mask is the picture '{second}' of an infotext" in refused.body["detail"]


def test_onnx_models_are_refused(webui, monkeypatch):
    """As the branch for AMD devices has them: of our hooks it calls `before_process` alone."""
    from lib_instantstyle.run import script_hooks

    monkeypatch.setitem(webui.shared.opts.data, "onnx_enable", True)
    monkeypatch.setattr(script_hooks, "process", lambda p, arguments: None)
    answer = webui.txt2img(**style(UNIT), expect=422)
    assert "ONNX and Olive models" in answer.body["detail"]
    answer = webui.txt2img(**style({**UNIT, "wieght": 1}), expect=422)
    assert "the field 'wieght' is unknown" in answer.body["detail"]
    answer = webui.txt2img(prompt="a cat <instantstyle:ink>", expect=422)
    assert "ONNX and Olive models" in answer.body["detail"]
    assert webui.txt2img().status == 200
    assert webui.txt2img(**style({**UNIT, "enabled": False})).status == 200
    monkeypatch.setitem(webui.shared.opts.data, "onnx_enable", False)
    assert webui.txt2img(**style(UNIT)).status == 200
