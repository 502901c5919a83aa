"""The methods without an adapter: StyleID, StyleAligned, swapped self-attention, B-LoRA."""

import pytest

from tests.webui.client import difference, reference
from tests.webui.conftest import either_family
from tests.webui.ways import INIT, VISIBLE, WAYS

STARS = reference("deep_field.jpg")
B_LORA = {"method": "b-lora", "lora": "tiny_b-lora_sdxl"}
HIRES = WAYS["hires fix"]
CHANGED = {"mode": "img2img", "init_images": [INIT], "denoising_strength": 1.0}


def pictures(client, *units, **fields):
    answer = client.generate(*units, **{"steps": 4, **fields})
    assert answer.status == 200, answer.detail
    for number, unit in enumerate(units, start=1):
        assert f"InstantStyle {number}: " in answer.infotexts[0]
        if unit.get("method"):
            assert f"method: {unit['method']}" in answer.infotexts[0]
    return answer.images


def check(client, *units, **fields):
    """All pictures are changed, in the same way each time, and nothing is left behind."""
    pictures(client, **fields)  # the first after something else may differ in the last bit
    plain = pictures(client, **fields)
    styled = pictures(client, *units, **fields)
    for a, b in zip(plain, styled, strict=True):
        assert difference(a, b) > VISIBLE
    for a, b in zip(styled, pictures(client, *units, **fields), strict=True):
        assert difference(a, b) < 0.1  # a remembered inversion may differ in the last bit
    # Forge's and Classic's img2img varies in the last bit from one time to the next.
    for a, b in zip(plain, pictures(client, **fields), strict=True):
        assert difference(a, b) < 0.05
    return styled[0]


@pytest.mark.parametrize("sampler", ["DDIM", "Euler"])
def test_styleid(client, checkpoint, sampler):
    fields = {**CHANGED, "prompt": "", "negative_prompt": "", "sampler_name": sampler}
    unit = {"image": STARS, "method": "styleid"}
    styled = check(client, unit, **fields)
    assert difference(styled, pictures(client, {**unit, "gamma": 0.2}, **fields)[0]) > 0
    going = {**unit, "gamma_end": 0.2, "gamma_curve": "cosine"}
    assert difference(styled, pictures(client, going, **fields)[0]) > 0


def test_styleid_with_words_and_a_lower_strength(client, checkpoint):
    fields = {**CHANGED, "denoising_strength": 0.6, "batch_size": 2}
    check(client, {"image": STARS, "method": "styleid"}, **fields)


@either_family
@pytest.mark.parametrize("method", ["stylealigned", "swap"])
@pytest.mark.parametrize("way", [{}, {"batch_size": 2}, HIRES, CHANGED, {"cfg_scale": 1}],
                         ids=["txt2img", "batch", "hires fix", "img2img", "cfg 1"])  # fmt: skip
def test_shared_and_swapped_self_attention(client, checkpoint, method, way):
    check(client, {"image": STARS, "method": method}, **way)


@pytest.mark.parametrize("way", [{}, {"batch_size": 2}, HIRES], ids=["txt2img", "batch", "hires"])
def test_b_lora(client, way):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    style = check(client, B_LORA, **way)
    content = {**B_LORA, "style_strength": 0, "content_strength": 1}
    assert difference(style, check(client, content, **way)) > VISIBLE / 10
    beside = check(client, B_LORA, {"image": STARS}, **way)
    assert difference(style, beside) > VISIBLE / 10


def test_a_method_beside_an_adapter(client, checkpoint):
    alone = {"image": STARS, "method": "stylealigned"}
    both = check(client, alone, {"image": STARS, "preset": "original"})
    assert difference(both, pictures(client, alone)[0]) > VISIBLE / 10
