"""Layers that a UNet call does not reach: no picture is called styled that is not."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.host.generations import UNIT, difference, picture, style
from tests.miniature.compiled import compiled_unet
from tests.unit import loras

STEPS = 4
FIELDS = {"steps": STEPS, "prompt": "a cat", "width": 64, "height": 64}
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}
ALL = {**UNIT, "preset": "original"}
# The style block of SD1.5 and one that is none, as ldm names them.
STYLE, OTHER = "output_blocks.4.", "input_blocks.7."


@contextmanager
def dead(webui, prefix, attention="attn2", when=lambda call, tokens: True):
    """Attentions whose layers are not called; when: by the number of the UNet call (from 0) and of
    latent tokens."""
    calls = [-1]
    count = webui.unet.register_forward_pre_hook(lambda *_: calls.append(calls[-1] + 1))
    found = [
        module
        for name, module in webui.unet.named_modules()
        if name.startswith(prefix) and name.endswith(attention)
    ]
    assert found

    def without(module):
        forward = module.forward

        def run(x, *args, **kwargs):
            if when(calls[-1], x.shape[1]):
                return torch.zeros_like(x)
            return forward(x, *args, **kwargs)

        return run

    for module in found:
        module.forward = without(module)
    try:
        yield
    finally:
        count.remove()
        for module in found:
            del module.forward


def refused(webui, unit, **fields):
    answer = webui.txt2img(expect=422, **{**FIELDS, **fields}, **style(unit))
    return answer.body["detail"]


def made(webui, unit, **fields):
    return webui.txt2img(**{**FIELDS, **fields}, **style(unit))


def test_one_dead_block_is_named(webui):
    with dead(webui, OTHER):
        sentence = refused(webui, ALL)
        assert "in the sampling down_blocks.2.attentions.0" in sentence
        assert "another extension replaces or leaves out layers" in sentence
        assert "InstantStyle 1" in made(webui, UNIT).infotexts[0]  # which does not act there
    assert made(webui, ALL).status == 200


def test_all_dead(webui):
    with dead(webui, ""):
        assert "cross-attention was never reached; a replaced UNet" in refused(webui, ALL)


@pytest.mark.parametrize("hires", [False, True], ids=["first", "second"])
def test_a_pass_by_itself(webui, hires):
    tokens = {}

    def of_pass(call, count):
        tokens.setdefault("first", count)  # the second pass has four times as many
        return (count > tokens["first"]) is hires

    with dead(webui, STYLE, when=of_pass):
        sentence = refused(webui, ALL, **HIRES)
    assert ("hires fix's second pass" if hires else "in the sampling") in sentence
    assert "up_blocks.1.attentions.1" in sentence


def test_now_and_then_is_a_note(webui):
    with dead(webui, STYLE, when=lambda call, tokens: call % 2 == 1):
        answer = made(webui, UNIT)
    assert "the style acted in 2 of 4 UNet calls" in answer.infotexts[0]
    assert "left out" not in made(webui, UNIT).infotexts[0]


def test_a_call_that_is_none_of_the_units_business(webui):
    with dead(webui, STYLE, when=lambda call, tokens: call >= STEPS // 2):
        answer = made(webui, {**UNIT, "end": 0.5})
    assert "left out" not in answer.infotexts[0] and "InstantStyle 1" in answer.infotexts[0]


def test_a_refiner_with_other_blocks_is_no_extension_that_leaves_steps_out(webui):
    fields = {"refiner_checkpoint": "tiny_sdxl.safetensors", "refiner_switch_at": 0.5}
    answer = made(webui, UNIT, **fields)
    assert "the refiner has other blocks" in answer.infotexts[0]
    assert "leaves some out" not in answer.infotexts[0] and "left out" not in answer.infotexts[0]


def test_each_unit_has_its_own_layers(webui):
    other = {**UNIT, "blocks": "down_blocks.2.attentions.0=1"}
    with dead(webui, OTHER):
        answer = webui.txt2img(expect=422, **FIELDS, **style(UNIT, other))
    assert "down_blocks.2.attentions.0" in answer.body["detail"]


@pytest.mark.parametrize("method", ["stylealigned", "swap"])
@pytest.mark.parametrize("fields", [{}, {"batch_size": 2}], ids=["reference", "first of batch"])
def test_self_attention(webui, method, fields):
    unit = {"method": method} | ({} if fields else {"image": picture("deep_field.jpg")})
    with dead(webui, "output_blocks.9.", "attn1"):
        assert "self-attention" in refused(webui, unit, **fields)
    assert made(webui, unit, **fields).status == 200


@pytest.fixture
def ink(sdxl):
    """The name of a B-LoRA where the WebUI keeps LoRAs."""
    from modules import paths_internal

    path = Path(paths_internal.models_path) / "Lora" / "dead ink.safetensors"
    path.parent.mkdir(exist_ok=True)
    tensors = loras.published(loras.factors(sdxl.unet))
    save_file({name: x.contiguous() for name, x in tensors.items()}, path)
    yield path.stem
    path.unlink()


def test_a_lora(sdxl, ink):
    unit = {"method": "b-lora", "lora": ink}
    with dead(sdxl, "output_blocks.1.", "attn1"):
        assert "up_blocks.0.attentions.1.transformer_blocks" in refused(sdxl, unit)
    assert made(sdxl, unit).status == 200


@pytest.mark.parametrize("method", ["ip-adapter", "swap"])
def test_a_compiled_unet(webui, method):
    """An unstyled picture first: its graph has no hooks."""
    unit = {**UNIT, "method": method}
    expected = made(webui, unit, **HIRES).images[0]
    plain = webui.txt2img(**FIELDS).images[0]
    with compiled_unet(webui.sd_model) as graphs:
        assert difference(webui.txt2img(**FIELDS).images[0], plain) <= 1
        before = graphs.made, graphs.ran
        assert all(before)
        answer = made(webui, unit, **HIRES)
        assert (graphs.made, graphs.ran) == before
        assert difference(answer.images[0], expected) <= 1
        assert "InstantStyle 1" in answer.infotexts[0]
        webui.txt2img(**FIELDS)
        assert graphs.ran > before[1]


def test_a_compiled_unet_with_an_older_torch(webui, monkeypatch):
    monkeypatch.delattr(torch.compiler, "set_stance")
    with compiled_unet(webui.sd_model):
        assert "update torch to 2.6" in refused(webui, UNIT)
        assert webui.txt2img(**FIELDS).status == 200
