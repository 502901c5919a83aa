"""Beside ControlNet: structure and a style in one picture.

In AUTOMATIC1111 that is sd-webui-controlnet, whose folder INSTANTSTYLE_WEBUI_EXTENSIONS names; the
Forge family has one built in. Skipped where there is none, or no tiny control models.
"""

import base64
import io

import pytest
from PIL import Image

from tests.webui.client import SMALL, difference, reference
from tests.webui.controlnet import in_its_words, is_built_in, needs_models
from tests.webui.ways import INIT, VISIBLE, WAYS, encoded

COFFEE, STARS = reference("coffee.jpg"), reference("deep_field.jpg")
STYLE = {"image": COFFEE}
SQUARE = encoded(
    Image.open(io.BytesIO(base64.b64decode(COFFEE))).convert("RGB").resize((224, 224))
)  # the size of what CLIP sees: both extensions give it the same pixels
FILES = {
    "tiny_sdxl": ("controlnet-canny-sdxl-1.0", "controlnet-tile-sdxl-1.0"),
    "tiny_sd15": ("control_v11p_sd15_canny", "control_v11f1e_sd15_tile"),
}
ADAPTERS = {
    "tiny_sdxl": ("ip-adapter_sdxl", "ip-adapter_clip_sdxl"),
    "tiny_sd15": ("ip-adapter_sd15", "ip-adapter_clip_sd15"),
}
METHODS = {
    "styleid": {"mode": "img2img", "init_images": [INIT], "denoising_strength": 1.0},
    "stylealigned": {},
    "swap": {},
}
LAST_BIT = 0.05  # img2img varies by it in a WebUI that has neither extension, too


@pytest.fixture(scope="module", autouse=True)
def needs_controlnet(client):
    if not client.has_script("controlnet"):
        pytest.skip("NOT RUN: the WebUI has no ControlNet; see INSTANTSTYLE_WEBUI_EXTENSIONS")
    needs_models(client, *(name for names in FILES.values() for name in names))


def unit(model="None", module="none", **fields):
    image = {} if "image" in fields else {"image": STARS}
    return {"enabled": True, "module": module, "model": model, "save_detected_map": False,
            **image, **fields}  # fmt: skip


def units_of(checkpoint):
    canny, tile = FILES[checkpoint]
    adapter, encoder = ADAPTERS[checkpoint]
    return {
        "canny": unit(canny, "canny"),
        "tile": unit(tile, "tile_resample"),
        "low VRAM": unit(canny, "canny", low_vram=True),
        "prompt first": unit(canny, "canny", control_mode="My prompt is more important"),
        "control first": unit(canny, "canny", control_mode="ControlNet is more important"),
        "IP-Adapter": unit(adapter, encoder),
        # Weight 1 leaves layers of less than 500 channels alone in the Forge family, and tiny
        # models have no others.
        "reference only": unit(module="reference_only", weight=1.5),
        "reference AdaIN": unit(module="reference_adain+attn", weight=1.5),
    }


KINDS = list(units_of("tiny_sdxl"))


def generate(client, *ours, control=(), **fields):
    scripts = {"ControlNet": {"args": in_its_words(client, control)}} if control else {}
    answer = client.generate(*ours, **({"alwayson_scripts": scripts} if scripts else {}), **fields)
    assert answer.status == 200, answer.detail
    return answer


def check(client, ours, control, exact=True, **fields):
    """Each acts alone and beside the other, the same way each time, and leaves nothing."""
    plain = generate(client, **fields)
    styled = generate(client, *ours, **fields)
    controlled = generate(client, control=control, **fields)
    both = generate(client, *ours, control=control, **fields)
    again = generate(client, *ours, control=control, **fields)
    after = generate(client, **fields)
    for i, picture in enumerate(both.images):
        assert difference(styled.images[i], plain.images[i]) > VISIBLE
        assert difference(controlled.images[i], plain.images[i]) > VISIBLE
        assert difference(picture, controlled.images[i]) > VISIBLE
        assert difference(picture, styled.images[i]) > VISIBLE
        assert difference(again.images[i], picture) < LAST_BIT
        assert difference(after.images[i], plain.images[i]) < LAST_BIT
    if exact:
        assert both.bytes == again.bytes and plain.bytes == after.bytes
    return both


def test_off_is_off(client, checkpoint):
    """Ours off is their picture to the byte, theirs off is ours, and both off is the WebUI's."""
    theirs = units_of(checkpoint)["canny"]
    mine, its = {**STYLE, "enabled": False}, {**theirs, "enabled": False}
    plain, styled = generate(client), generate(client, STYLE)
    controlled = generate(client, control=[theirs])
    # Else a ControlNet that never loads would be off in all of them.
    assert difference(controlled.images[0], plain.images[0]) > VISIBLE
    assert difference(styled.images[0], plain.images[0]) > VISIBLE
    assert generate(client, mine, control=[theirs]).bytes == controlled.bytes
    assert generate(client, STYLE, control=[its]).bytes == styled.bytes
    assert generate(client, mine, control=[its]).bytes == plain.bytes


@pytest.mark.parametrize("kind", KINDS)
def test_both_act_and_leave_nothing(client, checkpoint, kind):
    # The Forge family's AdaIN divides by zero where a layer sees one token, as SD1.5 does at 64.
    fields = {"width": 128, "height": 128} if kind == "reference AdaIN" else {}
    check(client, [STYLE], [units_of(checkpoint)[kind]], **fields)


@pytest.mark.parametrize("way", ["batch 2 x 2", "hires fix", "long prompt", "img2img"])
@pytest.mark.parametrize("kind", ["canny", "reference only"])
def test_in_every_way_to_make_a_picture(client, checkpoint, kind, way):
    control = [units_of(checkpoint)[kind]]
    check(client, [STYLE], control, exact=way != "img2img", **WAYS[way])


@pytest.mark.parametrize("way", ["inpaint", "only masked"])
def test_inpainting_takes_the_picture_to_change(client, checkpoint, way):
    canny, _ = FILES[checkpoint]
    for module in ("canny", "inpaint_only"):
        check(client, [STYLE], [unit(canny, module, image=None)], exact=False, **WAYS[way])


def test_several_units_of_both(client, checkpoint):
    known = units_of(checkpoint)
    ours = [STYLE, {"image": STARS, "preset": "layout", "weight": 0.7}]
    check(client, ours, [known["canny"], known["tile"], known["IP-Adapter"]])


def half_of(client, ours, theirs):
    """`theirs` with the weight that acts as 0.5: reForge's IP-Adapter multiplies with it twice."""
    half = {**theirs, "weight": 0.5}
    acting = generate(client, control=[half]).images[0]
    quarter = generate(client, {**ours, "weight": 0.25}).images[0]
    return {**theirs, "weight": 0.5**0.5} if difference(acting, quarter) < LAST_BIT else half


@pytest.mark.parametrize("way", ["txt2img", "batch 2 x 2", "hires fix", "AND", "img2img"])
def test_two_halves_of_an_ip_adapter_are_a_whole_one(client, checkpoint, way):
    """Ours and theirs add the same term to the same layers, in whatever order."""
    adapter, encoder = ADAPTERS[checkpoint]
    ours = {"image": SQUARE, "adapter": adapter, "preset": "original"}
    theirs = unit(adapter, encoder, image=SQUARE)
    whole = generate(client, ours, **WAYS[way])
    alone = generate(client, control=[theirs], **WAYS[way])
    control = [half_of(client, ours, theirs)]
    halves = generate(client, {**ours, "weight": 0.5}, control=control, **WAYS[way])
    half = generate(client, {**ours, "weight": 0.5}, **WAYS[way])
    for i, picture in enumerate(whole.images):
        assert difference(alone.images[i], picture) < LAST_BIT
        assert difference(halves.images[i], picture) < LAST_BIT
        assert difference(half.images[i], picture) > 1


@pytest.mark.parametrize("method", list(METHODS))
def test_their_ip_adapter_is_ours_beside_a_method_on_self_attention(client, checkpoint, method):
    """Where the checkpoint is asked beside the picture, their units neither act nor remember."""
    adapter, encoder = ADAPTERS[checkpoint]
    reference_picture = {"image": STARS, "method": method}
    half = {"image": SQUARE, "adapter": adapter, "preset": "original", "weight": 0.5}
    theirs = half_of(client, half, unit(adapter, encoder, image=SQUARE))
    fields = METHODS[method]
    ours = generate(client, reference_picture, half, **fields)
    both = generate(client, reference_picture, control=[theirs], **fields)
    assert difference(ours.images[0], both.images[0]) < LAST_BIT
    assert difference(generate(client, half, **fields).images[0], both.images[0]) > VISIBLE


@pytest.mark.parametrize("kind", ["canny", "tile"])
def test_controlnets_never_see_the_style(client, checkpoint, kind):
    """What goes in and comes out of one is the same to the bit, but for the later latents."""
    control = [units_of(checkpoint)[kind]]
    client.get("/controlnet-probe")
    plain = generate(client, control=control)
    without = client.get("/controlnet-probe")
    styled = generate(client, STYLE, {"image": STARS, "preset": "original"}, control=control)
    beside = client.get("/controlnet-probe")
    assert len(without) == len(beside) == SMALL["steps"]
    assert beside[0] == without[0]
    for a, b in zip(without, beside, strict=True):
        assert b["hooks"] == 0
        assert (a["context"], a["hint"], a["tokens"]) == (b["context"], b["hint"], b["tokens"])
    assert beside[-1]["latent"] != without[-1]["latent"]
    assert difference(plain.images[0], styled.images[0]) > VISIBLE


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("kind", ["canny", "IP-Adapter", "reference only"])
def test_the_methods_on_self_attention(client, checkpoint, method, kind):
    ours, control = {"image": COFFEE, "method": method}, [units_of(checkpoint)[kind]]
    if (method, kind) == ("stylealigned", "reference only") and is_built_in(client):
        # Both compute self-attention there, and a comment under the picture says who does not act.
        styled, both = generate(client, ours), generate(client, ours, control=control)
        assert difference(styled.images[0], both.images[0]) < LAST_BIT
    else:
        check(client, [ours], control, exact=False, **METHODS[method])


def test_a_b_lora(client):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    known = units_of("tiny_sdxl")
    ours = {"method": "b-lora", "lora": "tiny_b-lora_sdxl"}
    check(client, [ours], [known["canny"], known["IP-Adapter"]])


def test_what_is_measured_is_measured_beside_reference_only_too(client, checkpoint):
    """It asks the UNet a second time in each call, for the reference."""
    ours = {**STYLE, "auto_weight": 0.3, "report": True}
    both = check(client, [ours], [units_of(checkpoint)["reference only"]])
    assert "InstantStyle 1 auto: " in both.infotexts[0]
    assert "InstantStyle 1 effect: " in both.infotexts[0]
