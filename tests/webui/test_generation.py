"""What a user of the API sees: every way to make a picture, with and without a style."""

import re
import threading
import time

import numpy as np
import pytest

from tests.units import PAGE_FIELDS, PAGE_PICTURES, Unit
from tests.webui.client import difference
from tests.webui.conftest import either_family
from tests.webui.ways import COFFEE, STARS, VISIBLE, WAYS


@pytest.mark.parametrize("way", list(WAYS))
def test_a_style_changes_the_picture_and_another_style_changes_it_otherwise(
    client, checkpoint, way
):
    fields = WAYS[way]
    plain = client.generate(**fields)
    styled = client.generate({"image": COFFEE}, **fields)
    other = client.generate({"image": STARS}, **fields)
    again = client.generate({"image": COFFEE}, **fields)
    after = client.generate(**fields)
    assert plain.status == styled.status == 200, styled.detail
    assert len(styled.images) == len(plain.images)
    for a, b, c in zip(plain.images, styled.images, other.images):
        assert difference(a, b) > VISIBLE
        assert difference(b, c) > VISIBLE / 10
    assert styled.bytes == again.bytes
    # No hook is left, no state is left.
    assert plain.bytes == after.bytes or (
        not client.repeats_exactly(**fields) and difference(plain.images[0], after.images[0]) < 0.05
    )
    if way == "inpaint":  # what is not masked stays
        assert difference(plain.images[0][:, 40:], styled.images[0][:, 40:]) < 1


OFF = {
    "not mentioned": None,
    "no args": [],
    "null": [None],
    "false": [False],
    "empty text": [""],
    "not enabled": [{"image": COFFEE, "enabled": False}],
    "false before units": [False, {"image": COFFEE}],
    "weight 0": [{"image": COFFEE, "weight": 0}],
    "no block": [{"image": COFFEE, "blocks": "6=0"}],
    "other units off": [{"units": [{"image": COFFEE, "enabled": False}]}],
}


@either_family
@pytest.mark.parametrize("off", list(OFF))
@pytest.mark.parametrize("way", ["txt2img", "hires fix", "img2img"])
def test_off_is_off_byte_for_byte(client, checkpoint, off, way):
    plain = client.generate(**WAYS[way])
    answer = client.generate(args=OFF[off], **WAYS[way])
    assert answer.bytes == plain.bytes
    assert answer.infotexts == plain.infotexts
    assert "InstantStyle" not in plain.infotexts[0]


def test_presets_act_in_different_blocks(client, checkpoint):
    pictures = [
        client.generate({"image": COFFEE, "preset": preset}).images[0]
        for preset in ("style", "style+layout", "layout", "original")
    ]
    for i, a in enumerate(pictures):
        for b in pictures[:i]:
            assert difference(a, b) > 0


def test_own_blocks_say_the_same_as_a_preset(client):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    preset = client.generate({"image": COFFEE, "preset": "style+layout", "weight": 0.5})
    for blocks in (
        "up_blocks.0.attentions.1=0.5; down_blocks.2.attentions.1=0.5",
        "6:0.5, 3:0.5",
        [0, 0, 0, 0.5, 0, 0, 0.5, 0, 0, 0, 0],
        {"down": {"block_2": [0, 0.5]}, "up": {"block_0": [0, 0.5, 0]}},
    ):
        answer = client.generate({"image": COFFEE, "blocks": blocks})
        assert np.array_equal(answer.images[0], preset.images[0]), blocks


PAGE_UNITS = 3  # unless the settings say otherwise


def as_on_the_page(**values):
    """The page's values, switched on, with the first of its units; the WebUI fills up a short list
    with the defaults of its slots, and pictures come behind the fields of all units."""
    unit = Unit()
    untouched = {name: getattr(unit, name) for name in PAGE_FIELDS}
    untouched.update(dict.fromkeys(PAGE_PICTURES, ""), blocks="", layout_weight=1, boost=1)
    off = {**untouched, "enabled": False}
    units = [{**untouched, **values}, *[off] * (PAGE_UNITS - 1)]
    return [
        True,
        *(u[name] for names in (PAGE_FIELDS, PAGE_PICTURES) for u in units for name in names),
    ]


def test_every_form_of_the_arguments_gives_the_same_picture(client, checkpoint):
    unit = {"image": COFFEE, "weight": 0.7}
    expected = client.generate(unit).bytes
    page = as_on_the_page(weight=0.7, image=f"data:image/jpeg;base64,{COFFEE}")
    for args in (
        [True, unit],
        [{"units": [unit]}],
        [{"image": {"image": COFFEE}, "weight": "0.7"}],
        [{"image": [COFFEE], "weight": 0.7}, {"enabled": False}],
        page,
    ):
        assert client.generate(args=args).bytes == expected


def test_two_units_act_together(client, checkpoint):
    one, two = {"image": COFFEE}, {"image": STARS, "preset": "layout"}
    alone = [client.generate(unit).images[0] for unit in (one, two)]
    both = client.generate(one, two)
    assert all(difference(both.images[0], picture) > 0 for picture in alone)
    assert "InstantStyle 1" in both.infotexts[0] and "InstantStyle 2" in both.infotexts[0]


def test_start_and_end_choose_steps(client, checkpoint):
    whole = client.generate({"image": COFFEE}, steps=4).images[0]
    halves = [
        client.generate({"image": COFFEE, "start": a, "end": b}, steps=4).images[0]
        for a, b in ((0, 0.5), (0.5, 1))
    ]
    assert all(difference(half, whole) > 0 for half in halves)
    assert difference(*halves) > 0


def test_infotext_says_what_was_done_and_restores_it(client, checkpoint):
    unit = {"image": COFFEE, "preset": "style+layout", "weight": 0.7, "end": 0.8}
    answer = client.generate(unit)
    family = checkpoint.removeprefix("tiny_")
    written = re.search(
        r'InstantStyle 1: "(.*?)", Version|InstantStyle 1: "(.*?)"$', answer.infotexts[0]
    )
    assert written, answer.infotexts[0]
    line = written.group(1) or written.group(2)
    for part in (f"adapter: ip-adapter_{family}", "preset: style+layout", "weight: 0.7",
                 "end: 0.8", "reference: "):  # fmt: skip
        assert part in line
    assert "start" not in line and len(line) < 200
    info = client.post("/sdapi/v1/png-info", {"image": answer.bytes[0]}).json()
    assert info["info"] == answer.infotexts[0]


def test_attention_optimisations_make_no_difference(client, checkpoint):
    client.needs_settings("cross_attention_optimization")
    optimisations = ["None", "sdp - scaled dot product", "sdp-no-mem - scaled dot product "
                     "without memory efficient attention", "sub-quadratic",
                     "Doggettx", "InvokeAI", "V1 - original v1"]  # fmt: skip
    known = {o for o in optimisations if set_optimisation(client, o)}
    assert {"sdp - scaled dot product"} <= known or known
    results = {}
    for optimisation in sorted(known):
        set_optimisation(client, optimisation)
        plain = client.generate().images[0]
        styled = client.generate({"image": COFFEE}).images[0]
        results[optimisation] = (plain, styled)
        assert difference(plain, styled) > VISIBLE, optimisation
    set_optimisation(client, "Automatic")
    first_plain, first_styled = next(iter(results.values()))
    for plain, styled in results.values():
        assert difference(plain, first_plain) < 0.1
        assert difference(styled, first_styled) < 0.1


def set_optimisation(client, name):
    return client.post("/sdapi/v1/options", {"cross_attention_optimization": name}).ok


ROW_CASES = {
    "pad": ({"pad_cond_uncond": True}, {"prompt": "a cat, " * 60}),
    "pad v0": ({"pad_cond_uncond_v0": True}, {"prompt": "a cat, " * 60}),
    "apart": ({"batch_cond_uncond": False}, {"batch_size": 2}),
    "skip early": ({"skip_early_cond": 0.3}, {"batch_size": 2}),
    "min uncond": ({"s_min_uncond": 9.0, "s_min_uncond_all": True}, {"batch_size": 2}),
}


DEFAULTS = {
    "pad_cond_uncond": False,
    "pad_cond_uncond_v0": False,
    "batch_cond_uncond": True,
    "skip_early_cond": 0.0,
    "s_min_uncond": 0.0,
    "s_min_uncond_all": False,
}


@pytest.mark.parametrize("case", list(ROW_CASES))
def test_rows_are_told_apart_however_they_come(client, checkpoint, case):
    settings, fields = ROW_CASES[case]
    client.needs_settings(*settings)
    known = client.get("/sdapi/v1/options")
    defaults = {name: value for name, value in DEFAULTS.items() if name in known}
    try:
        client.options(**{**defaults, **settings})
        plain, styled = client.generate(**fields), client.generate({"image": COFFEE}, **fields)
        after = client.generate(**fields)
    finally:
        client.options(**defaults)
    assert styled.status == 200, styled.detail
    assert all(difference(a, b) > VISIBLE for a, b in zip(plain.images, styled.images))
    assert plain.bytes == after.bytes
    if case == "apart":  # dealt out otherwise, but the same rows
        together = client.generate({"image": COFFEE}, **fields)
        assert all(difference(a, b) < 0.1 for a, b in zip(together.images, styled.images))


def test_a_plot_over_seeds_styles_every_cell_alike(client, checkpoint):
    infos = client.get("/sdapi/v1/script-info")
    (info,) = [s for s in infos if s["name"] == "x/y/z plot" and not s["is_img2img"]]
    labels = [argument["label"] for argument in info["args"]]
    values = [argument["value"] for argument in info["args"]]
    axes = info["args"][labels.index("X type")]["choices"]
    for label, value in (("X type", axes.index("Seed")), ("X values", "7,8"), ("Y type", 0),
                         ("Z type", 0), ("Include Sub Images", True)):  # fmt: skip
        values[labels.index(label)] = value  # the first of its name: "X values" are two controls
    plot = client.generate({"image": COFFEE}, script_name="x/y/z plot", script_args=values)
    assert plot.status == 200, plot.detail
    for seed in (7, 8):
        single = client.generate({"image": COFFEE}, seed=seed).images[0]
        assert any(
            cell.shape == single.shape and difference(cell, single) < 0.1 for cell in plot.images
        )


def test_an_interrupted_generation_leaves_nothing_behind(client, checkpoint):
    plain = client.generate()
    answers = []
    slow = threading.Thread(
        target=lambda: answers.append(client.generate({"image": COFFEE}, steps=60, batch_size=2))
    )
    slow.start()
    for _ in range(200):
        time.sleep(0.05)
        if client.get("/sdapi/v1/progress?skip_current_image=true")["state"]["sampling_step"] > 1:
            break
    client.post("/sdapi/v1/interrupt", {})
    slow.join()
    assert answers[0].status == 200, answers[0].detail
    assert client.generate().bytes == plain.bytes


def test_the_checkpoint_may_change_with_the_request(client):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    for name in ("tiny_sd15.safetensors", "tiny_sdxl.safetensors"):
        answer = client.generate({"image": COFFEE}, override_settings={"sd_model_checkpoint": name})
        assert answer.status == 200, answer.detail
        family = name.removeprefix("tiny_").removesuffix(".safetensors")
        assert f"adapter: ip-adapter_{family}" in answer.infotexts[0]


@pytest.mark.parametrize("held", [1, 2])
def test_the_style_goes_on_after_a_refiner_with_the_same_blocks(client, held):
    """With one checkpoint held in memory the weights are exchanged, with two the UNet is."""
    client.needs_settings("sd_checkpoints_limit")
    client.options(sd_checkpoints_limit=held)
    for name in ("tiny_sd15_twin", "tiny_sd15"):
        client.options(sd_model_checkpoint=f"{name}.safetensors")
    refiner = {"refiner_checkpoint": "tiny_sd15_twin.safetensors", "refiner_switch_at": 0.25}
    unit = {"image": COFFEE, "preset": "original"}
    alone = client.generate(unit, steps=4)
    refined = client.generate(unit, steps=4, **refiner)
    first_step = client.generate({**unit, "end": 0.25}, steps=4, **refiner)
    client.options(sd_checkpoints_limit=1)
    assert refined.status == 200, refined.detail
    # The twin has the same weights, so a style that goes on gives the same picture.
    assert difference(alone.images[0], refined.images[0]) < 0.05
    assert difference(first_step.images[0], refined.images[0]) > VISIBLE


def test_a_refiner_with_other_blocks_paints_without_style(client):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    refiner = {"refiner_checkpoint": "tiny_sd15.safetensors", "refiner_switch_at": 0.5}
    plain = client.generate(steps=4, **refiner)
    skip_if_refused(plain)
    styled = client.generate({"image": COFFEE}, steps=4, **refiner)
    first_half = client.generate({"image": COFFEE, "end": 0.5}, steps=4, **refiner)
    assert styled.status == 200, styled.detail
    assert difference(plain.images[0], styled.images[0]) > VISIBLE
    assert np.array_equal(first_half.images[0], styled.images[0])
    assert client.generate(steps=4, **refiner).bytes == plain.bytes


def test_the_hires_pass_may_have_another_checkpoint(client):
    """Of the same family the style goes on; of another it is made anew with another adapter."""
    client.options(sd_model_checkpoint="tiny_sd15.safetensors")
    known = {model["title"] for model in client.get("/sdapi/v1/sd-models")}
    for name in ("tiny_sd15_twin", "tiny_sdxl"):
        title = next((t for t in known if t.startswith(name)), None)
        if title is None:
            continue
        fields = {**WAYS["hires fix"], "hr_checkpoint_name": title}
        plain = client.generate(**fields)
        if "sdxl" in name:
            skip_if_refused(plain)
        styled = client.generate({"image": COFFEE}, **fields)
        assert styled.status == plain.status == 200, styled.detail
        assert difference(plain.images[0], styled.images[0]) > VISIBLE
        after = client.generate(**fields)
        assert np.array_equal(after.images[0], plain.images[0])


def test_an_inpainting_checkpoint_is_styled_too(client):
    fields = {**WAYS["inpaint"], "override_settings":
              {"sd_model_checkpoint": "tiny_sd15_inpaint.safetensors"}}  # fmt: skip
    plain, styled = client.generate(**fields), client.generate({"image": COFFEE}, **fields)
    assert styled.status == 200, styled.detail
    assert difference(plain.images[0][:, :24], styled.images[0][:, :24]) > VISIBLE


def skip_if_refused(plain):
    """Forge Neo cannot go on with a UNet of the other family, with or without a style."""
    if plain.status == 500:
        pytest.skip("this WebUI does not change to a checkpoint of the other family on its way")


ERRORS = {
    "unknown field": ({"image": COFFEE, "wieght": 1}, "the field 'wieght' is unknown"),
    "wrong type": ({"image": COFFEE, "weight": "much"}, "weight is 'much'"),
    "out of range": ({"image": COFFEE, "weight": 99}, "a number from -2 to 5 is allowed"),
    "unknown preset": ({"image": COFFEE, "preset": "stile"}, "preset is 'stile'"),
    "unknown adapter": ({"image": COFFEE, "adapter": "nothing"}, "adapter 'nothing' is not among"),
    "path as adapter": ({"image": COFFEE, "adapter": "../../etc/passwd"}, "is not among"),
    "no reference": ({}, "has no reference"),
    "corrupt picture": ({"image": COFFEE[:4000]}, "cannot be read as a picture"),
    "no picture": ({"image": "/etc/hostname"}, "image"),
    "address": ({"image": "http://127.0.0.1:9/a.png"}, "image is the address"),
    "bad blocks": ({"image": COFFEE, "blocks": "99:1"}, "blocks: 99 has no cross-attention"),
    "not an object": (3, "args begins with 3"),
}


@either_family
@pytest.mark.parametrize("case", list(ERRORS))
@pytest.mark.parametrize("way", ["txt2img", "img2img"])
def test_what_cannot_be_had_is_said_in_one_sentence(client, checkpoint, case, way):
    unit, sentence = ERRORS[case]
    plain = client.generate(**WAYS[way])
    answer = client.generate(unit, **WAYS[way])
    assert answer.status == 422
    assert sentence in answer.detail
    assert answer.images == []
    assert client.generate(**WAYS[way]).bytes == plain.bytes


ADAPTERS = {
    "tiny_sdxl": ["ip-adapter_sdxl", "ip-adapter_sdxl_vit-h", "ip-adapter-plus_sdxl_vit-h"],
    "tiny_sd15": ["ip-adapter_sd15", "ip-adapter-plus_sd15"],
}


def test_every_adapter_of_the_family_works(client, checkpoint):
    pictures = [client.generate().images[0]]
    for name in ADAPTERS[checkpoint]:
        answer = client.generate({"image": COFFEE, "adapter": name})
        assert answer.status == 200, answer.detail
        assert f"adapter: {name}" in answer.infotexts[0]
        assert all(difference(answer.images[0], picture) > VISIBLE for picture in pictures)
        other = client.generate({"image": STARS, "adapter": name})
        assert difference(answer.images[0], other.images[0]) > VISIBLE / 10
        pictures.append(answer.images[0])


def test_content_is_taken_out(client):
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    unit = {"image": COFFEE, "content": "a cup of coffee"}
    whole = client.generate({"image": COFFEE})
    less = client.generate(unit)
    assert less.status == 200, less.detail
    assert difference(whole.images[0], less.images[0]) > 0
    assert "content: a cup of coffee" in less.infotexts[0]
    assert client.generate({**unit, "content_scale": 0}).images[0].tolist() == (
        whole.images[0].tolist()
    )
    # Emphasis is for prompts: here the brackets are words like any other.
    emphasised = client.generate({**unit, "content": "(a cup of coffee:1.4)"})
    assert difference(emphasised.images[0], less.images[0]) > 0
    refused = client.generate({**unit, "adapter": "ip-adapter-plus_sdxl_vit-h"})
    assert refused.status == 422 and "choose a linear adapter" in refused.detail


WORDS = {"image": COFFEE, "content": "a cup | a table", "content_scale": 1.0}
WITHOUT_CONTENT = {
    "projection": {**WORDS, "content_mode": "projection"},
    "subspace": {**WORDS, "content_mode": "subspace"},
    "mask": {**WORDS, "content_mode": "mask", "content_share": 0.3},
    "clusters": {**WORDS, "content_mode": "mask", "content_share": 0},
    "suggested": {"image": COFFEE, "auto_content": 2, "content_scale": 1.0},
    "purify": {"image": COFFEE, "purify": 1.0, "purify_scale": "relative"},
}


@pytest.mark.parametrize("way", [{}, {"cfg_scale": 1}, WAYS["batch 2 x 2"], WAYS["hires fix"]],
                         ids=["txt2img", "cfg 1", "batches", "hires fix"])  # fmt: skip
def test_each_way_to_keep_content_out_acts_by_itself(client, way):
    """Each changes the picture, in its own way, and leaves nothing behind."""
    client.options(sd_model_checkpoint="tiny_sdxl.safetensors")
    found = {"all of it": client.generate({"image": COFFEE}, **way)}
    for name, unit in WITHOUT_CONTENT.items():
        found[name] = client.generate(unit, **way)
        assert found[name].status == 200, found[name].detail
    pictures = [answer.images[0] for answer in found.values()]
    for i, picture in enumerate(pictures):
        assert all(difference(picture, other) > 0 for other in pictures[:i])
    assert "InstantStyle 1 content: " in found["suggested"].infotexts[0]
    assert "purify: 1, purify_scale: relative" in found["purify"].infotexts[0]
    again = client.generate({"image": COFFEE}, **way)
    assert difference(again.images[0], pictures[0]) < 0.05


INSIDE = {
    "away from nothing": {"image": COFFEE, "attention_guidance": 3},
    "away from a picture": {"image": COFFEE, "negative_image": STARS, "attention_guidance": 3},
    "away from the content": {"image": COFFEE, "content": "a cup", "attention_guidance": 3,
                              "guidance_from": "removed content"},
    "fused": {"image": COFFEE, "fusion": "adain"},
    "swap, same noise": {"image": COFFEE, "method": "swap", "reference_noise": "same"},
    "swap, fresh noise": {"image": COFFEE, "method": "swap", "reference_noise": "fresh"},
    "swap, fixed noise": {"image": COFFEE, "method": "swap", "reference_noise": "fixed"},
    "swap, guided": {"image": COFFEE, "method": "swap", "reference_noise": "same",
                     "style_guidance": 3},
    "aligned, same noise": {"image": COFFEE, "method": "stylealigned", "reference_noise": "same"},
}  # fmt: skip


@either_family
@pytest.mark.parametrize("way", [{}, {"cfg_scale": 1}, WAYS["batch 2 x 2"], WAYS["hires fix"]],
                         ids=["txt2img", "cfg 1", "batches", "hires fix"])  # fmt: skip
def test_what_happens_inside_the_attention(client, checkpoint, way):
    """Each setting gives a picture of its own, the same again, and leaves nothing behind."""
    way = {**way, "steps": 4}  # the noise of the first step is the same in two of them
    plain = client.generate(**way)
    pictures = [client.generate({"image": COFFEE}, **way).images[0]]
    for unit in INSIDE.values():
        if checkpoint == "tiny_sd15" and unit.get("content"):
            continue  # it has no text encoder for content
        answer = client.generate(unit, **way)
        assert answer.status == 200, answer.detail
        assert all(difference(answer.images[0], other) > 0 for other in pictures)
        pictures.append(answer.images[0])
    swap = {"image": COFFEE, "method": "swap", "reference_noise": "same"}
    queries = client.generate({**swap, "negative_query": True}, **way)
    assert queries.status == 200, queries.detail
    without = client.generate(swap, **way).images[0]
    # At CFG scale 1 guidance is u + (c - u), which rounding keeps from being c.
    assert (difference(queries.images[0], without) > 0.01) is (way.get("cfg_scale") != 1)
    after = client.generate(**way)
    assert difference(after.images[0], plain.images[0]) < 0.05


def test_another_familys_adapter_is_refused(client, checkpoint):
    other = {"tiny_sdxl": "ip-adapter_sd15", "tiny_sd15": "ip-adapter_sdxl"}[checkpoint]
    answer = client.generate({"image": COFFEE, "adapter": other})
    assert answer.status == 422 and "is made for" in answer.detail


def test_the_request_is_not_answered_with_anything_new_when_off(client):
    """The script shows its defaults; a request that does not mention it runs with these."""
    (script,) = [s for s in client.get("/sdapi/v1/script-info")
                 if s["name"] == "instantstyle" and not s["is_img2img"]]  # fmt: skip
    assert script["args"][0]["value"] is False
    assert [a["label"] for a in script["args"]][:2] == ["InstantStyle", "Use this unit"]
    assert all(a["label"] for a in script["args"])
