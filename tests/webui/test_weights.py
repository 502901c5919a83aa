"""Several units, references, masks and passes, as a user of the API sees them."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.webui.client import difference, reference
from tests.webui.ways import INIT, WAYS, encoded, left_half, masked

COFFEE, STARS = reference("coffee.jpg"), reference("deep_field.jpg")
ODD = {"width": 104, "height": 72}  # 13 x 9 cells: halving rounds up
HIRES = {**WAYS["hires fix"], **ODD, "hr_scale": 1.5}


LEFT, RIGHT = masked(True), masked(False)


def pixels(client, *units, **fields):
    answer = client.generate(*units, **fields)
    assert answer.status == 200, answer.detail
    return answer.images[0]


def test_two_units_with_masks_style_their_halves(client, checkpoint):
    # Faint: with all of it the halves of these random models say little of each other.
    faint = {"preset": "original", "weight": 0.2}
    one, other = {"image": COFFEE, "mask": LEFT, **faint}, {"image": STARS, "mask": RIGHT, **faint}
    answer = client.generate(one, other, **HIRES)
    assert answer.status == 200, answer.detail
    for number in (1, 2):
        assert f"InstantStyle {number}: " in answer.infotexts[0]
    assert answer.infotexts[0].count("mask: ") == 2
    both = answer.images[0]
    plain, first, second = (pixels(client, *units, **HIRES) for units in ([], [one], [other]))
    half = both.shape[1] // 2
    # The left half of both is more like the left unit's alone than the right half is.
    left, right = both[:, :half], both[:, half:]
    assert difference(left, first[:, :half]) < difference(right, first[:, half:]) - 2
    assert difference(right, second[:, half:]) < difference(left, second[:, :half]) - 2
    assert difference(plain, both) > 0.2


def test_masks_that_add_up_to_white_are_no_mask(client, checkpoint):
    unit = {"image": COFFEE}
    whole = pixels(client, unit, **ODD)
    parts = pixels(client, {**unit, "mask": LEFT}, {**unit, "mask": RIGHT}, **ODD)
    assert difference(whole, parts) < 0.1
    assert difference(whole, pixels(client, {**unit, "mask": LEFT}, **ODD)) > 0.1


def square(left, top, right, bottom, size=64):
    mask = Image.new("L", (size, size))
    mask.paste(255, (left, top, right, bottom))
    return encoded(mask)


def test_inpainting_only_masked_sees_the_mask_of_its_region(client, checkpoint):
    """Only a corner is sampled: what a unit's mask shows elsewhere does not matter."""
    fields = {
        **WAYS["only masked"],
        "mask": square(0, 0, 24, 24),
        "mask_blur": 0,
        "inpaint_full_res_padding": 0,
    }
    unit = {"image": COFFEE, "preset": "original"}
    around, elsewhere = square(0, 0, 32, 32), square(40, 40, 64, 64)
    plain, whole = pixels(client, **fields), pixels(client, unit, **fields)
    assert difference(plain, whole) > 0.1
    # Forge's and Classic's inpainting varies in the last bit with what was generated before.
    assert difference(whole, pixels(client, {**unit, "mask": around}, **fields)) < 0.05
    assert difference(plain, pixels(client, {**unit, "mask": elsewhere}, **fields)) < 0.05


def test_a_pass_of_hires_fix_can_be_left_out(client, checkpoint):
    unit = {"image": COFFEE}
    seen = [pixels(client, {**unit, "hires_pass": which}, **HIRES) for which in
            ("both", "base", "hires")]  # fmt: skip
    seen.append(pixels(client, **HIRES))
    for i, a in enumerate(seen):
        for b in seen[:i]:
            assert difference(a, b) > 0.02
    alone = pixels(client, {**unit, "hires_pass": "hires"})
    assert np.array_equal(alone, pixels(client))


def test_each_image_of_a_batch_has_its_reference(client, checkpoint):
    for prompt in ("a cat", "a cat AND a dog"):
        fields = {"batch_size": 2, "prompt": prompt}
        each = client.generate({"image": [COFFEE, STARS], "combine": "each"}, **fields)
        assert each.status == 200, each.detail
        for i, picture in enumerate((COFFEE, STARS)):
            alone = client.generate({"image": picture}, **fields).images
            assert difference(each.images[i], alone[i]) < 0.02
            assert difference(each.images[i], alone[1 - i]) > 0.2


def test_references_are_combined_in_every_way(client, checkpoint):
    units = [{"image": [COFFEE, STARS], "combine": mode} for mode in
             ("concat", "average", "norm average", "add", "subtract", "max", "min")]  # fmt: skip
    units.append({"image": [{"image": COFFEE, "weight": 0.2}, STARS]})
    seen = [pixels(client, {**unit, "preset": "original"}) for unit in units]
    for i, a in enumerate(seen):
        for b in seen[:i]:
            assert difference(a, b) > 0.005


@pytest.mark.parametrize(
    "change",
    [
        {"crop": "pad"},
        {"crop": "stretch"},
        {"crop": "tiles"},
        {"sharpening": 1},
        {"reference_mask": encoded(left_half(400, 300))},
        {"negative_image": STARS},
        {"noise": "dissolve"},
        {"noise": "shuffle", "noise_strength": 0.9, "noise_blur": 9},
        {"negative_weight": 0},
        {"embeds_scaling": "K+V"},
        {"embeds_scaling": "K+mean(V) w/ C penalty"},
        {"time_curve": "falling"},
        {"preset": "style precise", "boost": 2},
        {"preset": "layout precise"},
        {"preset": "style+layout", "layout_weight": 0.3},
        {"preset": "depth: ease in"},
        {"blocks": "ipadapter plus: strong style transfer"},
    ],
    ids=lambda change: ", ".join(f"{k} {str(v)[:20]}" for k, v in change.items()),
)
def test_every_field_changes_the_picture(client, checkpoint, change):
    unit = {"image": COFFEE, "weight": 0.9}
    base = {**unit, "preset": change.get("preset", "style")} if "layout_weight" in change else unit
    plain, changed = pixels(client, base), client.generate({**unit, **change})
    assert changed.status == 200, changed.detail
    assert difference(plain, changed.images[0]) > 0.002
    assert all(f"{name}: " in changed.infotexts[0] for name in change)


def test_the_effect_is_reported_block_by_block(client, checkpoint):
    off = client.generate({"image": COFFEE, "preset": "style+layout"})
    on = client.generate({"image": COFFEE, "preset": "style+layout", "report": True})
    assert np.array_equal(off.images[0], on.images[0])
    line = on.infotexts[0].split("InstantStyle 1 effect: ")[1].split('"')[1]
    effects = dict(part.rsplit(" ", 1) for part in line.split(", "))
    expected = {
        "tiny_sdxl": ["down_blocks.2.attentions.1", "up_blocks.0.attentions.1"],
        "tiny_sd15": [
            *(f"down_blocks.2.attentions.{i}" for i in range(2)),
            "mid_block.attentions.0",
            *(f"up_blocks.1.attentions.{i}" for i in range(3)),
        ],
    }[checkpoint]
    assert list(effects) == expected
    assert all(0 < float(ratio) < 100 for ratio in effects.values())
    doubled = {"image": COFFEE, "preset": "style+layout", "report": True, "weight": 2}
    line = client.generate(doubled).infotexts[0].split("InstantStyle 1 effect: ")[1].split('"')[1]
    first = float(line.split(", ")[0].rsplit(" ", 1)[1])
    assert 1.5 < first / float(effects[expected[0]]) < 2.5


REFUSED = {
    "black mask": ({"mask": encoded(Image.new("L", (8, 8)))}, "mask is black everywhere"),
    "mask of text": ({"mask": "nonsense!"}, "mask is 'nonsense!'"),
    "black reference mask": (
        {"reference_mask": encoded(Image.new("L", (8, 8)))},
        "reference_mask",
    ),
    "no unit": ({"combine": "all"}, "combine is 'all'; one of 'concat'"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_be_had_is_said(client, checkpoint, case):
    fields, sentence = REFUSED[case]
    answer = client.generate({"image": COFFEE, **fields})
    assert answer.status == 422
    assert answer.detail.startswith("unit 1: ") and sentence in answer.detail
    assert base64.b64decode(client.generate().bytes[0])  # the next picture is made


def test_img2img_takes_the_same_units(client, checkpoint):
    fields = {"mode": "img2img", "init_images": [INIT], "denoising_strength": 0.8}
    unit = {"image": [COFFEE, STARS], "mask": encoded(left_half())}
    image = Image.open(io.BytesIO(base64.b64decode(client.generate(unit, **fields).bytes[0])))
    assert "InstantStyle 1: " in image.info["parameters"]
