"""Beside extensions of AUTOMATIC1111's WebUI that paint in tiles, regions and second passes.

INSTANTSTYLE_WEBUI_EXTENSIONS names their folders: Tiled Diffusion, Regional Prompter, ADetailer.
What is not there is skipped.
"""

import numpy as np
import pytest

from tests.webui.client import difference, reference
from tests.webui.companions import script
from tests.webui.ways import VISIBLE, WAYS, encoded, left_half

COFFEE, STARS = reference("coffee.jpg"), reference("deep_field.jpg")
STYLE = {"image": COFFEE}
EACH = {"image": [COFFEE, STARS], "combine": "each"}
MASKED = {**STYLE, "mask": encoded(left_half())}


def generate(client, *ours, theirs=None, **fields):
    scripts = {"alwayson_scripts": theirs} if theirs else {}
    answer = client.generate(*ours, **scripts, **fields)
    assert answer.status == 200, answer.detail
    return answer


def check(client, theirs, exact=True, **fields):
    """Each acts alone and beside the other, the same way each time, and leaves nothing."""
    plain = generate(client, **fields)
    styled = generate(client, STYLE, **fields)
    alone = generate(client, theirs=theirs, **fields)
    both = generate(client, STYLE, theirs=theirs, **fields)
    again = generate(client, STYLE, theirs=theirs, **fields)
    after = generate(client, **fields)
    for i, picture in enumerate(both.images):
        assert difference(styled.images[i], plain.images[i]) > VISIBLE
        assert difference(alone.images[i], plain.images[i]) > VISIBLE
        assert difference(picture, alone.images[i]) > VISIBLE
        assert difference(picture, styled.images[i]) > VISIBLE
        assert difference(again.images[i], picture) < 0.05
        assert difference(after.images[i], plain.images[i]) < 0.05
    if exact:
        assert both.bytes == again.bytes and plain.bytes == after.bytes


# -- Tiled Diffusion -----------------------------------------------------------------------------

LARGE = {"width": 192, "height": 128}
METHODS = ["MultiDiffusion", "Mixture of Diffusers"]


def tiles(client, method, at_once=2):
    values = {"Latent tile width": 16, "Latent tile height": 16, "Latent tile overlap": 8}
    return script(
        client, "tiled diffusion", Method=method, **{**values, "Latent tile batch size": at_once}
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", ["txt2img", "AND", "long prompt"])
def test_tiles(client, checkpoint, method, way):
    check(client, tiles(client, method), **LARGE, **WAYS[way])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("unit", [STYLE, {**STYLE, "negative_weight": 0}, EACH],
                         ids=["style", "prompt only", "each"])  # fmt: skip
def test_rows_are_told_apart_however_many_tiles_come_at_once(client, checkpoint, method, unit):
    fields = {**LARGE, "batch_size": 2}
    one = generate(client, unit, theirs=tiles(client, method, 1), **fields)
    many = generate(client, unit, theirs=tiles(client, method, 3), **fields)
    for a, b in zip(one.images, many.images, strict=True):
        assert difference(a, b) < 0.05


@pytest.mark.parametrize("method", METHODS)
def test_tiles_and_a_mask_exclude_each_other_and_that_is_said(client, checkpoint, method):
    answer = client.generate(MASKED, alwayson_scripts=tiles(client, method), **LARGE)
    assert answer.status == 422
    assert "mask cannot be used: another extension calls the UNet with tiles" in answer.detail


# -- Regional Prompter ---------------------------------------------------------------------------


def regions(client, mode="Attention"):
    theirs = script(client, "regional prompter", **{"Generation Mode": mode})
    (values,) = theirs.values()
    infos = client.get("/sdapi/v1/script-info")
    info = next(i for i in infos if i["name"] == "regional prompter" and not i["is_img2img"])
    # Its tab has no label; the page sends its name.
    values["args"][next(i for i, a in enumerate(info["args"]) if a["value"] == "Matrix")] = "Matrix"
    return theirs


@pytest.mark.parametrize("mode", ["Attention", "Latent"])
@pytest.mark.parametrize("negative", ["blurry", "blurry BREAK dark"])
def test_regions(client, checkpoint, mode, negative):
    fields = {"prompt": "a cat BREAK a dog on a chair", "negative_prompt": negative}
    check(client, regions(client, mode), batch_size=2, **fields)


@pytest.mark.parametrize("unit", [STYLE, MASKED, {**STYLE, "negative_weight": 0}, EACH],
                         ids=["style", "mask", "prompt only", "each"])  # fmt: skip
def test_regions_that_are_alike_are_no_regions(client, checkpoint, unit):
    theirs = regions(client)
    whole = generate(client, unit, prompt="a cat", batch_size=2)
    parts = generate(client, unit, theirs=theirs, prompt="a cat BREAK a cat", batch_size=2)
    for a, b in zip(whole.images, parts.images, strict=True):
        assert difference(a, b) < 0.05


# -- ADetailer -----------------------------------------------------------------------------------


def face(client):
    """A pass over the left upper quarter, where tests/webui/detector finds a face."""
    if not client.has_script("adetailer"):
        pytest.skip("this WebUI has no ADetailer")
    size = {"ad_use_inpaint_width_height": True, "ad_inpaint_width": 64, "ad_inpaint_height": 64}
    unit = {"ad_model": "mediapipe_face_full", "ad_denoising_strength": 0.6, **size}
    theirs = {"ADetailer": {"args": [True, False, unit]}}
    plain, found = generate(client), generate(client, theirs=theirs)
    if np.array_equal(plain.images[0], found.images[0]):
        pytest.skip("NOT RUN: the WebUI has no extension tests/webui/detector")
    return theirs


NAMES = "ad_script_names"  # of the scripts that ADetailer runs inside


@pytest.fixture
def inside(client):
    """Sets whether faces are styled; ADetailer and this extension both have to be told."""

    def choose(styled):
        names = "dynamic_prompting" + ",instantstyle" * styled
        client.options(instantstyle_nested=styled, **{NAMES: names})

    yield choose
    if client.has_script("adetailer"):
        choose(False)


@pytest.mark.parametrize("styled_inside", [False, True])
def test_a_second_pass_over_a_face(client, checkpoint, inside, styled_inside):
    theirs = face(client)
    inside(styled_inside)
    styled = generate(client, STYLE, batch_size=2, n_iter=2)
    both = generate(client, STYLE, theirs=theirs, batch_size=2, n_iter=2)
    assert len(both.images) == len(styled.images)
    for a, b, text in zip(styled.images, both.images, both.infotexts, strict=True):
        if a.shape[0] > 64:  # the grid
            continue
        assert difference(a[:32, :32], b[:32, :32]) > VISIBLE
        assert np.array_equal(a[44:, 44:], b[44:, 44:])
        assert text.count("InstantStyle 1: ") == 1
    check(client, theirs)


def test_the_settings_say_whether_the_face_is_styled(client, checkpoint, inside):
    theirs = face(client)
    seen = []
    for value in (False, True):
        inside(value)
        seen.append(generate(client, STYLE, theirs=theirs).images[0])
    assert difference(seen[0][:32, :32], seen[1][:32, :32]) > VISIBLE
    assert np.array_equal(seen[0][44:, 44:], seen[1][44:, 44:])


# -- token merging -------------------------------------------------------------------------------


@pytest.fixture
def merging(client):
    """Switches it on; what a request overrides would stay where nobody ever set it."""
    client.needs_settings("token_merging_ratio")
    yield lambda: client.options(token_merging_ratio=0.9)
    client.options(token_merging_ratio=0)


def test_merged_tokens(client, checkpoint, merging):
    """The WebUI's own setting: self-attention sees fewer tokens."""
    plain, styled = generate(client, **LARGE), generate(client, STYLE, **LARGE)
    merging()
    alone, both = generate(client, **LARGE), generate(client, STYLE, **LARGE)
    if np.array_equal(plain.images[0], alone.images[0]):
        pytest.skip("NOT RUN: this WebUI merges no tokens")
    assert difference(both.images[0], alone.images[0]) > VISIBLE
    assert difference(both.images[0], styled.images[0]) > 0
    assert both.bytes == generate(client, STYLE, **LARGE).bytes
    client.options(token_merging_ratio=0)
    assert np.array_equal(generate(client, **LARGE).images[0], plain.images[0])


@pytest.mark.parametrize("method", ["stylealigned", "swap"])
def test_merged_tokens_exclude_methods_on_self_attention(client, checkpoint, merging, method):
    merging()
    answer = client.generate({"image": STARS, "method": method})
    assert answer.status == 422
    assert "cannot do with token merging; set its ratio to 0" in answer.detail


# -- HyperTile -----------------------------------------------------------------------------------


def test_self_attention_in_tiles(client, checkpoint):
    """HyperTile comes with AUTOMATIC1111 and is switched on in its settings."""
    tiles_of = {"hypertile_max_tile_unet": 128, "hypertile_max_depth_unet": 3}
    fields = {"width": 256, "height": 256, "steps": 2}
    plain, styled = generate(client, **fields), generate(client, STYLE, **fields)
    switched_on = client.post("/sdapi/v1/options", {"hypertile_enable_unet": True, **tiles_of})
    if not switched_on.ok:
        pytest.skip("this WebUI has no such HyperTile")
    try:
        alone, both = generate(client, **fields), generate(client, STYLE, **fields)
    finally:
        client.options(hypertile_enable_unet=False)
    if np.array_equal(plain.images[0], alone.images[0]):
        pytest.skip("NOT RUN: this WebUI's HyperTile does nothing here")
    assert difference(both.images[0], alone.images[0]) > VISIBLE
    assert difference(both.images[0], styled.images[0]) > 0
    assert np.array_equal(generate(client, **fields).images[0], plain.images[0])
