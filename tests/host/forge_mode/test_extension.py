"""The extension in Forge: memory, replaced networks, text vectors, the second pass."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from tests.host.generations import UNIT, style
from tests.host.watching import hooks_on, watch_hooks

SENTENCE = "no cross-attention blocks in the layout of SD1.5 or SDXL"


@pytest.fixture
def account(webui, monkeypatch):
    """The WebUI's account of memory, empty, and no reference known."""
    from backend import memory_management

    from lib_instantstyle.references import vectors

    monkeypatch.setattr(vectors.cache(), "tensors", type(vectors.cache().tensors)())
    account = memory_management.account
    saved = account.capacity
    account.current_loaded_models.clear()
    account.log.clear()
    yield account
    account.capacity = saved
    account.current_loaded_models.clear()


def names(account):
    return sorted(type(x.model.model).__name__ for x in account.current_loaded_models)


def test_the_encoder_gets_room_and_leaves_no_entry(webui, account, monkeypatch):
    """With room for the checkpoint alone its parts give way to the encoder, and come back."""
    from lib_instantstyle.clip import transformer

    sizes = []
    real = transformer.load_encoder

    def load(path, encoder, weights, device, dtype, make_room):
        size = sum(x.numel() * x.element_size() for x in encoder.parameters())
        made = real(path, encoder, weights, device, dtype, make_room)
        sizes.append((size, account.get_free_memory()))
        return made

    from lib_instantstyle.clip import image_encoder

    monkeypatch.setattr(image_encoder, "load_encoder", load)
    plain = webui.txt2img()
    before = names(account)
    assert "KModel" in before
    account.capacity -= account.get_free_memory()  # now there is nothing free
    account.log.clear()
    styled = webui.txt2img(**style(UNIT))
    ((size, free),) = sizes
    assert free > size
    unloaded = [what for does, *what in account.log if does == "unload"]
    assert unloaded
    assert set(names(account)) <= set(before)  # nothing of ours is entered
    assert styled.pixels != plain.pixels
    account.log.clear()
    assert webui.txt2img(**style(UNIT)).pixels == styled.pixels
    assert len(sizes) == 1  # a known reference asks for nothing


def test_another_checkpoint_in_the_second_pass_has_its_unet_back(webui, account):
    """Its references are encoded while it samples, which may have pushed the UNet out."""
    webui.use("tiny_sd15.")
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7,
             "hr_additional_modules": ["Use same choices"], "hr_cfg": 7,
             "hr_checkpoint_name": "tiny_sdxl.safetensors"}  # fmt: skip
    missing = []
    from tests.miniature.networks import UNetModel

    forward = UNetModel.forward

    def watch(self, *args, **kwargs):
        models = [x.model.model for x in account.current_loaded_models]
        missing.append(not any(getattr(m, "diffusion_model", None) is self for m in models))
        return forward(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UNetModel, "forward", watch)
        account.capacity = 1  # every load pushes everything else out
        webui.txt2img(**hires, **style(UNIT))
    assert missing and not any(missing)


@contextmanager
def unet_replaced_by(webui, network):
    model = webui.sd_model.forge_objects.unet.model
    unet, model.diffusion_model = model.diffusion_model, network
    yield
    model.diffusion_model = unet


class Transformer(nn.Module):
    """Flux and SD3 have no UNet: joint blocks, and no cross-attention of their own."""

    def __init__(self, unet):
        super().__init__()
        self.double_blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.in_channels = unet.in_channels
        self.dtype = torch.float32

    def forward(self, x, timesteps, context, **kwargs):
        return self.double_blocks[0](x.movedim(1, -1)).movedim(-1, 1)


def test_a_checkpoint_without_a_unet_is_one_sentence_when_on_and_nothing_when_off(
    webui,
):
    with unet_replaced_by(webui, Transformer(webui.unet)):
        plain = webui.txt2img()
        answer = webui.txt2img(**style(UNIT), expect=422)
        assert SENTENCE in answer.body["detail"]
        assert hooks_on(webui.sd_model) == []
        assert webui.txt2img().png == plain.png
    assert webui.reports == []


def test_no_network_at_all_is_one_sentence(webui, monkeypatch):
    for objects in ("forge_objects", "forge_objects_original", "forge_objects_after_applying_lora"):
        monkeypatch.setattr(getattr(webui.sd_model, objects), "unet", None)
    answer = webui.txt2img(**style(UNIT), expect=422)
    assert answer.body["detail"].endswith("choose one and try again.")


@pytest.mark.usefixtures("as_in_generation")
def test_the_text_vector_is_forges_own(webui):
    from lib_instantstyle.hosts.forge import Forge

    p = type("p", (), {"sd_model": webui.sd_model})
    vector = Forge().text_encoder(p).vectors(["a cup of coffee"])[0]
    own = webui.sd_model.get_learned_conditioning(["a cup of coffee"])["vector"][0, : len(vector)]
    assert torch.allclose(vector, own.float(), atol=1e-6)


def test_a_checkpoint_is_whole_although_a_content_text_is_the_first_it_encodes(webui):
    """Weights that are touched outside of inference mode first would fail for ever after."""
    unit = {**UNIT, "content": "a cup of coffee"}
    plain, styled = webui.txt2img(), webui.txt2img(**style(unit))
    for name in ("tiny_sd15.", "tiny_sdxl."):  # nothing is loaded before the next generation
        webui.set(sd_model_checkpoint=f"{name}safetensors")
        if name == "tiny_sd15.":
            webui.txt2img()
    assert webui.txt2img(**style(unit)).pixels == styled.pixels
    assert webui.txt2img().png == plain.png


def test_the_second_pass_is_hooked_once_although_announced_twice(webui, monkeypatch):
    seen = watch_hooks(monkeypatch)
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7,
             "hr_additional_modules": ["Use same choices"]}  # fmt: skip
    webui.txt2img(**hires, **style(UNIT))
    assert set(seen) == {1 + 2 * 10}
    assert hooks_on(webui.sd_model) == []


@pytest.mark.parametrize("method", ["stylealigned", "swap"])
def test_patches_of_other_scripts_are_for_the_rows_of_the_picture(webui, probe, method):
    """Not for the reference, about which a method on self-attention asks the UNet beside it."""

    def patch(p, *args, **kwargs):
        unet = p.sd_model.forge_objects.unet.clone()
        unet.model_options["transformer_options"]["patches_replace"] = {}
        p.sd_model.forge_objects.unet = unet

    probe.reset(process_before_every_sampling=patch)
    seen = []
    handle = webui.unet.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(
            (len(args[0]), "patches_replace" in kwargs["transformer_options"])
        ),
        with_kwargs=True,
    )
    webui.txt2img(steps=2, **style({**UNIT, "method": method}))
    handle.remove()
    assert set(seen) == {(1, False), (2, True)}  # the reference, and both prompts of the picture


@pytest.mark.parametrize(("method", "says_so"), [("stylealigned", True), ("swap", False)])
def test_it_is_said_whose_self_attention_does_not_act(webui, probe, method, says_so):
    from modules.processing import StableDiffusionProcessing

    def patch(p, *args, **kwargs):
        unet = p.sd_model.forge_objects.unet.clone()
        options = unet.model_options["transformer_options"]
        options["patches_replace"] = {"attn1": {("middle", 0, 0): print}}
        p.sd_model.forge_objects.unet = unet

    said = []
    unit = style({**UNIT, "method": method})
    with pytest.MonkeyPatch.context() as replaced:
        replaced.setattr(StableDiffusionProcessing, "comment", lambda p, text: said.append(text))
        webui.txt2img(steps=2, **unit)
        assert said == []
        probe.reset(process_before_every_sampling=patch)
        webui.txt2img(steps=2, **unit)
    assert ["the other one does not act" in text for text in said] == [True] * says_so
