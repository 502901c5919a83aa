"""A layout that holds: queries and keys of the picture without the style."""

from __future__ import annotations

import base64
import io

import pytest
import torch
from PIL import Image

from tests.host.generations import CONTENT, UNIT, difference, picture, style
from tests.host.plans import agreed
from tests.host.watching import Calls, hooks_on

STEPS = 6
FIELDS = {"prompt": "a cat", "steps": STEPS, "width": 64, "height": 64, "seed": 5}
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}
ALL = {**UNIT, "preset": "original", "weight": 1.0}
LOCKED = {**ALL, "layout_lock": 0.5}
FIRST = {**LOCKED, "layout_from": "first picture"}


def half(size=128):
    """A mask, as a request has it: the left half is white."""
    file = io.BytesIO()
    image = Image.new("L", (size, size))
    image.paste(255, (0, 0, size // 2, size))
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def run(webui, *units, **fields):
    return webui.txt2img(**{**FIELDS, **fields}, **(style(*units) if units else {}))


class Queries:
    """What one layer's `attn1.to_q` makes of its input in each UNet call, and what attention then
    gets in its place."""

    def __init__(self, webui):
        attention = next(m for n, m in webui.unet.named_modules() if n.endswith("attn1"))
        self.module = attention
        self.made: list[torch.Tensor] = []

    def __enter__(self):
        self.handle = self.module.to_q.register_forward_hook(
            lambda module, args, output: self.made.append(output.clone())
        )
        return self

    def __exit__(self, *_):
        self.handle.remove()


def test_off_is_off_and_on_is_another_picture(webui):
    off = run(webui, ALL)
    assert (
        run(webui, {**ALL, "layout_lock": 0, "layout_from": "first picture"}).pixels == off.pixels
    )
    on = run(webui, LOCKED)
    assert difference(on.images[0], off.images[0]) > 2
    assert "layout_lock: 0.5" in on.infotexts[0] and "note" not in on.infotexts[0]
    assert run(webui, LOCKED).pixels == on.pixels
    assert not hooks_on(webui.unet)


@pytest.mark.parametrize("share, locked", [(0.01, 1), (0.5, 3), (0.51, 4), (1, STEPS)])
def test_one_more_call_in_each_locked_step(webui, share, locked):
    with Calls(webui) as rows:
        run(webui, {**ALL, "layout_lock": share})
    assert len(rows) == STEPS + locked


def test_the_plain_picture_is_the_one_that_comes_without_the_style(webui):
    """With Euler its latents are those of a generation of its own, step by step."""
    with Queries(webui) as plain:
        run(webui, sampler_name="Euler")
    with Queries(webui) as both:
        run(webui, {**ALL, "layout_lock": 1}, sampler_name="Euler")
    for own, beside in zip(plain.made, both.made[::2], strict=True):
        torch.testing.assert_close(beside, own, rtol=1e-3, atol=1e-4)
    apart = [float((a - b).abs().max()) for a, b in zip(both.made[::2], both.made[1::2])]
    assert min(apart[1:]) > 1e-2  # of the styled picture, before they are replaced


@pytest.mark.parametrize(
    "sampler, furthest",
    [("DPM++ 2M", 1e-4), ("Heun", 1e-4), ("DDIM", 1e-4), ("Euler a", 0.03)],
)
def test_every_sampler_follows_the_plain_picture(webui, sampler, furthest):
    """What a step makes of latents and predictions is read off the sampler; where it adds noise of
    its own, nearly."""
    with Queries(webui) as plain:
        run(webui, sampler_name=sampler)
    with Queries(webui) as both:
        run(webui, {**ALL, "layout_lock": 1}, sampler_name=sampler)
    triples = list(zip(plain.made, both.made[::2], both.made[1::2], strict=True))
    assert max(float((beside - own).norm() / own.norm()) for own, beside, _ in triples) < furthest
    assert min(float((third - own).norm() / own.norm()) for own, _, third in triples[1:]) > 0.5


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "Heun", "DDIM"])
def test_queries_and_keys_of_the_same_picture_change_nothing(webui, sampler):
    """A style of next to no weight: plain and styled picture are the same."""
    fields = {"sampler_name": sampler}
    plain = run(webui, **fields).images[0]
    found = run(webui, {**ALL, "weight": 1e-7, "layout_lock": 1}, **fields).images[0]
    assert difference(found, plain) <= 1


def test_values_stay_its_own(webui):
    """Locked from end to end, the picture is neither the plain nor the unlocked one."""
    locked = run(webui, {**ALL, "layout_lock": 1}).images[0]
    assert difference(locked, run(webui).images[0]) > 2
    assert difference(locked, run(webui, ALL).images[0]) > 2


PICTURES = {
    "batch of 3": {"batch_size": 3},
    "batch of 4": {"batch_size": 4},
    "AND": {"prompt": "a cat AND a dog"},
    "long prompt": {"prompt": "a cat, " * 40},
    "prompt that changes": {"prompt": "a [cat:house:0.5]"},
    "CFG 1": {"cfg_scale": 1},
    "no negative rows in every other step": {"s_min_uncond": 20, "negative_prompt": "a dog"},
    "hires fix": HIRES,
    "wide": {"width": 96},
}


@pytest.mark.parametrize("fields", PICTURES.values(), ids=PICTURES.keys())
def test_every_kind_of_picture(webui, fields):
    plain, found = run(webui, **fields), run(webui, LOCKED, **fields)
    unlocked = run(webui, ALL, **fields)
    count = fields.get("batch_size", 1)
    for i in range(count):
        assert difference(found.images[i], plain.images[i]) > 2
        assert found.pixels[i] != unlocked.pixels[i]
        if count > 1:
            alone = run(webui, LOCKED, **{**fields, "batch_size": 1, "seed": 5 + i})
            assert difference(alone.images[0], found.images[i]) <= 2
    nothing = run(webui, {**LOCKED, "weight": 1e-7, "layout_lock": 1}, **fields)
    assert difference(nothing.images[0], plain.images[0]) <= 2


def test_rows_called_apart(webui):
    together = run(webui, LOCKED, batch_size=2)
    webui.shared.opts.data["batch_cond_uncond"] = False
    apart = run(webui, LOCKED, batch_size=2)
    assert all(difference(*pair) <= 2 for pair in zip(together.images, apart.images))


def test_img2img_and_a_mask(webui):
    fields = {**FIELDS, "denoising_strength": 0.8}
    for each in (fields, {**fields, "mask": half(), "inpainting_fill": 1}):
        unlocked = webui.img2img(CONTENT, **each, **style(ALL))
        found = webui.img2img(CONTENT, **each, **style(LOCKED))
        assert found.pixels != unlocked.pixels
    region = {**LOCKED, "mask": half()}
    assert run(webui, region).pixels != run(webui, {**region, "layout_lock": 0}).pixels


def test_the_passes_of_hires_fix(webui):
    for hires_pass, more in (("base", 3), ("hires", 3), ("both", 6)):
        with Calls(webui) as rows:
            run(webui, {**LOCKED, "hires_pass": hires_pass}, **HIRES)
        assert len(rows) == 2 * STEPS + more


def test_it_begins_with_the_style(webui):
    with Calls(webui) as rows:
        run(webui, {**LOCKED, "start": 0.3})
    assert len(rows) == STEPS + 1  # steps 3 of 1 to 3
    answer = run(webui, {**LOCKED, "start": 0.6})
    assert "its layout lock changed nothing" in answer.infotexts[0]


@pytest.mark.parametrize("share, calls", [(0, 3), (0.34, 3 + 3), (1, 3 + 3)])
def test_the_refiner_ends_it(webui, share, calls):
    fields = {"refiner_checkpoint": "tiny_sdxl.safetensors", "refiner_switch_at": 0.5}
    with Calls(webui) as rows:  # of the first checkpoint's UNet
        answer = run(webui, {**LOCKED, "layout_lock": share}, **fields)
    assert len(rows) == calls
    assert "the refiner has other blocks" in answer.infotexts[0]


@pytest.mark.parametrize("by_steps", [True, False])
@pytest.mark.parametrize("at", [0.3, 0.8])
def test_it_ends_before_the_refiner_however_that_is_timed(webui, by_steps, at):
    fields = {"override_settings": {"refiner_switch_by_sample_steps": by_steps}}
    fields |= {"refiner_checkpoint": "tiny_sdxl.safetensors", "refiner_switch_at": at}
    fields |= {"scheduler": "Exponential", "sampler_name": "Euler"}
    with Calls(webui) as alone:  # of the first checkpoint's UNet
        run(webui, ALL, **fields)
    run(webui)  # loads the first checkpoint again
    with Calls(webui) as both:
        run(webui, {**ALL, "layout_lock": 1}, **fields)
    assert len(alone) < len(both) <= 2 * len(alone) < 2 * STEPS


def test_a_tag_cannot_bring_the_layout_of_the_first_picture(webui, library):
    webui.post("/instantstyle/embed", {"name": "ink", **FIRST})
    prompt = "a cat <instantstyle:ink:1{}>"
    fields = {**FIELDS, "prompt": prompt.format(""), "batch_size": 2}
    answer = webui.txt2img(expect=422, **fields)
    assert "which a tag cannot bring" in answer.body["detail"]
    prompt = prompt.format(":layout_from=prompt")
    assert run(webui, prompt=prompt, batch_size=2).images


def test_two_units_and_a_palette(webui):
    other = {"image": picture("deep_field.jpg"), "palette": 0.5}
    with Calls(webui) as rows:
        found = run(webui, LOCKED, other, {**other, "layout_lock": 0.9})
    assert len(rows) == STEPS + 6  # the longer one
    assert found.pixels != run(webui, ALL, other, other).pixels


def test_the_first_picture_of_a_batch_stays_plain_and_gives_its_layout(webui):
    plain = run(webui).images[0]
    with Calls(webui) as rows:
        found = run(webui, FIRST, batch_size=3, n_iter=2)
    assert len(rows) == 2 * STEPS
    later = run(webui, seed=8).images[0]
    assert difference(found.images[0], plain) <= 1 and difference(found.images[3], later) <= 1
    assert difference(found.images[1], plain) > 2 and difference(found.images[4], later) > 2
    seeds = [text.split("Seed: ")[1].split(",")[0] for text in found.infotexts]
    assert seeds == ["5", "5", "5", "8", "8", "8"]
    assert "the first picture of each batch has no style" in found.infotexts[0]
    # As a picture with a plain one beside it, which costs a call of its own.
    single = run(webui, {**FIRST, "layout_from": "prompt"}).images[0]
    assert difference(found.images[1], single) <= 2


def test_a_plain_first_picture_with_other_parts(webui):
    plain = run(webui, seed=5).images[0]
    units = [
        {**FIRST, "palette": 1, "auto_weight": 0.3, "report": True},
        {**ALL, "attention_guidance": 2},
        {**ALL, "fusion": "adain", "combine": "each", "mask": half()},
    ]
    found = run(webui, *units, batch_size=2)
    assert difference(found.images[0], plain) <= 1
    assert difference(found.images[1], plain) > 2


REFUSED = {
    "alone": (FIRST, {}, "the batch has 1 picture"),
    "swap": ({**LOCKED, "method": "swap"}, {}, "so does method 'swap'"),
    "share": ({**ALL, "layout_lock": 2}, {}, "layout_lock is 2"),
    "word": ({**ALL, "layout_from": "second"}, {}, "layout_from is 'second'"),
}


@pytest.mark.parametrize("unit, fields, sentence", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_locked(webui, unit, fields, sentence):
    answer = webui.txt2img(expect=422, **{**FIELDS, **fields}, **style(unit))
    assert sentence in answer.body["detail"]
    assert run(webui).pixels == run(webui).pixels


def test_units_that_do_not_go_together(webui):
    other = {"image": picture("deep_field.jpg"), "method": "stylealigned"}
    answer = webui.txt2img(expect=422, **FIELDS, **style(LOCKED, other))
    assert "unit 1: layout_lock is 0.5, which works on self-attention" in answer.body["detail"]
    for units in ((LOCKED, other), (LOCKED, FIRST)):
        request = {**FIELDS, "batch_size": 2, **style(*units)}
        agreed(webui, request)
    assert agreed(webui, request) == [
        "unit 2: layout_from is 'first picture', and 'prompt' in unit 1; one for all is allowed."
    ]


def test_a_unit_without_a_block_locks_nothing(webui):
    with Calls(webui) as rows:
        run(webui, {**LOCKED, "preset": "style", "blocks": {"0": 0}})
    assert len(rows) == STEPS


def test_the_seeds_of_a_client_are_not_changed(webui):
    """A script may hand over its own list."""
    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.methods.layout_lock import LayoutPart

    class Asked:
        all_seeds, all_subseeds, batch_size = [5, 6, 7, 8], [1, 2, 3, 4], 2

    seeds, request = Asked.all_seeds, Asked()
    unit = TABLE.parse_unit({"layout_lock": 1, "layout_from": "first picture"})
    LayoutPart([unit]).before_init(request)
    assert seeds == [5, 6, 7, 8]
    assert (request.all_seeds, request.all_subseeds) == ([5, 5, 7, 7], [1, 1, 3, 3])


def test_token_merging(webui):
    webui.shared.opts.data["token_merging_ratio"] = 0.5
    answer = webui.txt2img(expect=422, **FIELDS, **style(LOCKED))
    assert "layout_lock cannot be used with token merging" in answer.body["detail"]


def test_a_dry_run_says_it(webui):
    def plan(unit, **fields):
        answer = webui.post("/instantstyle/plan", {"units": [unit], **fields}).json()
        return answer["units"][0]

    assert plan(LOCKED, steps=10)["layout"] == (
        "1 to 5 of 10, with one more evaluation of the model in each"
    )
    both = plan(LOCKED, steps=4, enable_hr=True, hr_second_pass_steps=2)["layout"]
    assert (
        both == "1 to 2 of 4; hires fix 1 to 1 of 2, with one more evaluation of the model in each"
    )
    request = {**FIELDS, "batch_size": 1, **style(FIRST)}
    (problem,) = webui.post("/instantstyle/plan", request).json()["problems"]
    assert "the batch has 1 picture" in problem
    assert plan(ALL)["layout"] == ""


def test_an_error_leaves_no_hook(webui, monkeypatch):
    from lib_instantstyle.methods import plain_picture

    def broken(self, *_):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(plain_picture.KeptLayout, "give", broken)
    answer = webui.txt2img(expect=500, **FIELDS, **style(LOCKED))
    assert "broken on purpose" in str(answer.body)
    assert not hooks_on(webui.unet)
    monkeypatch.undo()
    assert run(webui, LOCKED).pixels
