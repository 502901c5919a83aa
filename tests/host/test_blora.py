"""B-LoRA inside a WebUI: pictures as from merged weights, infotext, errors, what is left."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.host.breaking import break_each, functions_of, txt2img
from tests.host.generations import picture, style
from tests.host.loras import in_place
from tests.miniature.companions import LORA
from tests.miniature.flavour import FORGE, flavour
from tests.unit import loras
from tests.unit.loras import CONTENT, STYLE

UNIT = {"method": "b-lora", "lora": "ink"}


@pytest.fixture(scope="module")
def session(session):
    if flavour() != FORGE:
        session.add_extension(LORA)
    return session


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


@pytest.fixture(scope="module")
def both(session):
    """The LoRA's factors; its files lie where the WebUI keeps LoRAs."""
    from modules import paths_internal

    session.use("tiny_sdxl.")
    made = loras.factors(session.unet)
    folder = Path(paths_internal.models_path) / "Lora"
    files = {
        "drawn/ink": loras.published(made),
        "style only": loras.kohya({place: x for place, x in made.items() if place[0] is STYLE}),
        "other width": {n: x[:, :-1] if "A" in n else x for n, x in loras.peft(made).items()},
        "sd15": {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": torch.ones(2, 2)},
        "loha": {
            f"lora_unet_{STYLE.ldm.replace('.', '_')}_proj_in.hada_w1_a": torch.ones(2, 2),
        },
    }
    written = []
    for name, tensors in files.items():
        path = folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: x.contiguous() for key, x in tensors.items()}, path)
        written.append(path)
    yield made
    for path in written:
        path.unlink()


@pytest.fixture
def webui(webui, both):
    """With the LoRA's files; none of the weights may be another afterwards."""
    before = {name: x.clone() for name, x in webui.unet.state_dict().items()}
    yield webui
    webui.use("tiny_sdxl.")
    after = webui.unet.state_dict()
    assert all(torch.equal(x, after[name]) for name, x in before.items())
    assert [x for x in webui.reports if "InstantStyle" in x or "instantstyle" in x] == []


@contextmanager
def merged(webui, both, amounts):
    """The weights themselves changed, as the picture of the oracle needs them."""
    layers = {
        webui.unet.get_submodule(f"{block.ldm}.{path}"): amounts[block] * up @ down
        for (block, path), (down, up) in both.items()
        if block in amounts
    }
    kept = {layer: layer.weight for layer in layers}
    try:
        for layer, change in layers.items():
            weight = kept[layer]
            with torch.inference_mode(mode=weight.is_inference()):  # as Forge's are
                changed = (weight.float() + change).to(weight)
                layer.weight = torch.nn.Parameter(changed, requires_grad=False)
        yield
    finally:
        for layer, weight in kept.items():
            layer.weight = weight


def difference(a, b):
    """The largest of two pictures, in levels of 255."""
    a, b = (np.asarray(x.images[-1].convert("RGB"), dtype=int) for x in (a, b))
    return np.abs(a - b).max()


@pytest.mark.parametrize(
    ("change", "amounts"),
    [
        ({}, {STYLE: 1.0}),
        ({"style_strength": 0.5, "content_strength": -1}, {STYLE: 0.5, CONTENT: -1.0}),
        ({"style_strength": 0.5, "weight": 2, "lora_scaling": "squared"}, {STYLE: 0.5}),
    ],
    ids=str,
)
def test_a_picture_is_that_of_the_merged_weights(webui, both, change, amounts):
    """Through hires fix's two passes, in a batch."""
    fields = {"enable_hr": True, "denoising_strength": 0.7, "hr_scale": 1.5, "batch_size": 2}
    plain = webui.txt2img(**fields)
    with merged(webui, both, amounts):
        expected = webui.txt2img(**fields)
    styled = webui.txt2img(**fields, **style({**UNIT, **change}))
    assert difference(styled, expected) <= 1
    assert difference(styled, plain) > 8
    assert webui.txt2img(**fields).png == plain.png


def test_start_end_and_pass(webui):
    fields = {"enable_hr": True, "denoising_strength": 0.7, "hr_scale": 1.5}
    plain = webui.txt2img(**fields)
    made = [
        webui.txt2img(**fields, **style({**UNIT, **change})).pixels
        for change in ({}, {"end": 0.5}, {"hires_pass": "hires"}, {"time_curve": "falling"})
    ]
    assert len({str(pixels) for pixels in [*made, plain.pixels]}) == 5


@in_place
def test_the_webuis_own_lora_adds_to_it(webui, both):
    """The extension changes weights of the same layers in place, and keeps its own account."""
    tagged = {"prompt": "a cat <lora:strong:0.2>"}
    lora = webui.txt2img(**tagged)
    networks = __import__("sys").modules["networks"]
    layer = webui.unet.get_submodule(f"{STYLE.ldm}.transformer_blocks.0.attn1.to_q")
    with_lora = layer.weight.data.clone()
    together = webui.txt2img(**tagged, **style(UNIT))
    assert torch.equal(layer.weight, with_lora)  # both acted, and the weight is its alone
    assert layer.network_current_names == (("strong", 0.2),)
    assert [x.name for x in networks.loaded_networks] == ["strong"]
    with merged(webui, both, {STYLE: 1.0}):
        expected = webui.txt2img(**tagged)
    assert difference(together, expected) <= 1
    assert difference(together, lora) > 8
    webui.txt2img(prompt="a cat")  # the extension puts its weights back


def test_beside_an_ip_adapter(webui):
    adapter = {"image": picture("coffee.jpg")}
    alone = [webui.txt2img(**style(unit)) for unit in (UNIT, adapter)]
    both_units = webui.txt2img(**style(adapter, UNIT))
    assert min(difference(both_units, each) for each in alone) > 4
    assert 'InstantStyle 1: "adapter:' in both_units.infotexts[0]
    assert 'InstantStyle 2: "method: b-lora, lora: drawn/ink"' in both_units.infotexts[0]


def test_infotext_brings_the_unit_back(webui):
    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.units.infotext import read

    unit = {**UNIT, "content_strength": 0.25, "lora_scaling": "squared"}
    answer = webui.txt2img(**style(unit))
    written = read(answer.parameters, TABLE).unit
    assert (written.method, written.lora) == ("b-lora", "drawn/ink")
    assert (written.content_strength, written.lora_scaling) == (0.25, "squared")
    again = {
        name: getattr(written, name)
        for name in ("method", "lora", "content_strength", "lora_scaling")
    }
    assert webui.txt2img(**style(again)).png == answer.png


def test_without_strength_nothing_happens(webui):
    answer = webui.txt2img(**style({**UNIT, "style_strength": 0}))
    assert answer.png == webui.txt2img().png


def test_what_is_not_used_is_said(webui, said):
    webui.txt2img(**style({**UNIT, "image": picture("coffee.jpg"), "report": True}))
    assert said == [
        "InstantStyle: method 'b-lora' takes its style from the LoRA, and makes no use of image, "
        "report."
    ]


def test_a_dry_run_names_blocks_and_problems(webui):
    body = {"units": [UNIT, {**UNIT, "lora": "loha"}]}
    answer = webui.post("/instantstyle/plan", body).json()
    good, bad = answer["units"]
    assert (good["adapter"], good["problems"]) == ("drawn/ink", [])
    assert [(x["name"], x["weight"], x["layers"]) for x in good["blocks"]] == [
        (STYLE.diffusers, 1.0, 80)
    ]
    assert bad["problems"] == [
        "loha.safetensors is a LoHa, not a plain LoRA with two factors for each layer; convert "
        "it, or choose another file."
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lora": ""}, "unit 1: lora is empty; choose a LoRA file ("),
        ({"lora": "../Lora/drawn/ink"}, "is not among the files found"),
        ({"lora": "sd15"}, "sd15.safetensors is a LoRA for SD1.5 or SD2; one for SDXL is needed"),
        ({"lora": "loha"}, "loha.safetensors is a LoHa, not a plain LoRA"),
        ({"lora": "other width"}, "was made for another UNet: its up_blocks.0.attentions.1."),
        (
            {"lora": "style only", "content_strength": 1},
            "holds nothing for the content block (up_blocks.0.attentions.0); set "
            "content_strength to 0",
        ),
        ({"mask": picture("coffee.jpg")}, "mask is given, but a LoRA acts on the whole picture"),
        ({"leak_meter": True}, "leak_meter is on, which compares with a reference"),
        (
            {"style_strength": -1, "lora_scaling": "squared"},
            "style_strength is -1, which lora_scaling 'squared' would turn round",
        ),
        ({"content_strength": 6}, "content_strength is 6; a number from -2 to 5 is allowed"),
        ({"lora_scaling": "cubed"}, "one of 'linear', 'squared' is allowed"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused(webui, change, sentence):
    answer = webui.txt2img(expect=422, **style({**UNIT, **change}))
    assert sentence in answer.body["detail"]


def test_sd15_is_refused(webui):
    webui.use("tiny_sd15.")
    answer = webui.txt2img(expect=422, **style(UNIT))
    assert answer.body["detail"] == (
        "unit 1: method is 'b-lora', whose blocks part style and content in SDXL; the checkpoint "
        "is SD1.5, load one of SDXL."
    )


def test_another_file_of_the_folder_without_its_folder_and_ending(webui):
    by_name = [
        webui.txt2img(**style({**UNIT, "lora": name})).pixels
        for name in ("ink", "drawn/ink", "ink.safetensors", "style only")
    ]
    assert by_name[0] == by_name[1] == by_name[2]
    assert difference_of(by_name[0], by_name[3]) <= 1  # the same factors in kohya's spelling


def difference_of(a, b):
    a, b = (np.frombuffer(x[0], dtype=np.uint8).astype(int) for x in (a, b))
    return np.abs(a - b).max()


def test_any_function_of_it_may_fail_while_sampling(webui):
    make = txt2img(UNIT)
    called = functions_of(make, webui).keys()
    own = {each for each in called if "lora" in each.told}
    assert len(own) > 3
    _, wrong = break_each(webui, make, called - own)
    assert wrong == []
    webui.reports.clear()


@pytest.mark.parametrize("layout_from", ["prompt", "first picture"])
def test_a_layout_that_holds(webui, both, layout_from):
    fields = {"batch_size": 2, "steps": 4, "seed": 5}
    unit = {**UNIT, "style_strength": 3, "weight": 2}
    locked = {**unit, "layout_lock": 0.5, "layout_from": layout_from}
    plain = webui.txt2img(**fields)
    found = webui.txt2img(**fields, **style(locked))
    assert found.pixels[1] != webui.txt2img(**fields, **style(unit)).pixels[1]
    assert (found.pixels[0] == plain.pixels[0]) == (layout_from == "first picture")
