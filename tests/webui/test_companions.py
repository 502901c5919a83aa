"""Beside scripts that the Forge family brings along, and sd-forge-couple: both act.

What a WebUI does not have is skipped; the miniature has none of them.
"""

import numpy as np
import pytest

from tests.webui.client import difference, reference
from tests.webui.companions import controlnet, controlnet_ip_adapter, script
from tests.webui.terms import added, first_call, needs_probe
from tests.webui.ways import VISIBLE, encoded, left_half

COFFEE, STARS = reference("coffee.jpg"), reference("deep_field.jpg")
STYLE = {"image": COFFEE, "preset": "original"}
LARGE = {"width": 128, "height": 128}
MASK = encoded(left_half(128, 128))
TILED = {"Tile Width": 64, "Tile Height": 64, "Tile Overlap": 32, "Tile Batch Size": 2}
BUILT_IN = {
    "freeu": ({"B1": 1.1, "B2": 1.1}, LARGE),
    "hypertile": ({"Tile Size": 32, "Max Depth": 1}, LARGE),
    "kohya hrfix": ({"End Percent": 1.0}, LARGE),
    "multidiffusion": (TILED, LARGE),
    "stylealign": ({}, {"batch_size": 2}),
    "selfattentionguidance": ({}, LARGE),
    "perturbedattentionguidance": ({}, LARGE),
}


def picture(client, *units, **fields):
    answer = client.generate(*units, **fields)
    assert answer.status == 200, answer.detail
    return answer.images[0]


@pytest.mark.parametrize("title", list(BUILT_IN))
def test_both_act_and_leave_nothing(client, checkpoint, title):
    values, fields = BUILT_IN[title]
    theirs = {"alwayson_scripts": script(client, title, **values)}
    plain = picture(client, **fields)
    alone = picture(client, **theirs, **fields)
    styled = picture(client, STYLE, **fields)
    both = picture(client, STYLE, **theirs, **fields)
    again = picture(client, STYLE, **theirs, **fields)
    assert difference(plain, alone) > 0
    assert difference(both, alone) > VISIBLE
    assert difference(both, styled) > 0
    assert np.array_equal(both, again)
    assert np.array_equal(plain, picture(client, **fields))


def test_never_oom_makes_the_same_picture(client, checkpoint):
    fields = {"alwayson_scripts": script(client, "never oom")}
    without = picture(client, STYLE)
    assert difference(without, picture(client, STYLE, **fields)) < 0.1
    assert difference(without, picture(client, STYLE)) < 0.1


def test_tiles_and_a_mask_exclude_each_other_and_that_is_said(client, checkpoint):
    theirs = {"alwayson_scripts": script(client, "multidiffusion", **TILED)}
    answer = client.generate({**STYLE, "mask": MASK}, **theirs, **LARGE)
    assert answer.status == 422
    assert "mask cannot be used: another extension calls the UNet with tiles" in answer.detail


@pytest.mark.parametrize("factor", [2.0, 1.6])
def test_a_shrunk_unet_has_a_mask_where_its_grid_is_known(client, checkpoint, factor):
    """Kohya's HR fix shrinks the picture inside the UNet: by 2 the grids are usual ones."""
    values = {"End Percent": 1.0, "Downscale Factor": factor}
    theirs = {"alwayson_scripts": script(client, "kohya hrfix", **values)}
    answer = client.generate({**STYLE, "mask": MASK}, **theirs, **LARGE)
    if factor == 2.0:
        assert answer.status == 200, answer.detail
        whole = picture(client, STYLE, **theirs, **LARGE)
        assert difference(answer.images[0], whole) > VISIBLE
    else:
        assert answer.status == 422
        assert "mask cannot be used: another extension changed the number" in answer.detail


# -- the built-in ControlNet ---------------------------------------------------------------------

ADAPTERS = {"tiny_sdxl": "ip-adapter_sdxl", "tiny_sd15": "ip-adapter_sd15"}


def test_controlnets_ip_adapter_acts_on_the_same_blocks(client, checkpoint):
    theirs = {"alwayson_scripts": controlnet_ip_adapter(client, ADAPTERS[checkpoint], STARS)}
    plain, alone = picture(client), picture(client, **theirs)
    styled, both = picture(client, STYLE), picture(client, STYLE, **theirs)
    seen = [plain, alone, styled, both]
    for i, a in enumerate(seen):
        for b in seen[:i]:
            assert difference(a, b) > VISIBLE
    assert np.array_equal(both, picture(client, STYLE, **theirs))
    assert np.array_equal(alone, picture(client, **theirs))
    assert np.array_equal(plain, picture(client))


def test_the_terms_of_both_ip_adapters_add_up(client, checkpoint):
    """In the first layer that has both; further on, each sees the other's effect in the query."""
    needs_probe(client)
    theirs = {"alwayson_scripts": controlnet_ip_adapter(client, ADAPTERS[checkpoint], STARS)}
    plain, alone = first_call(client), first_call(client, **theirs)
    styled, both = first_call(client, STYLE), first_call(client, STYLE, **theirs)
    first = next(iter(added(styled)))
    text = plain[f"{first}.after"]
    ours, its = styled[f"{first}.after"] - text, alone[f"{first}.after"] - text
    for term in (ours, its):
        assert np.abs(term).max() > 1e-2
    np.testing.assert_allclose(both[f"{first}.after"] - text, ours + its, atol=1e-5)


def test_controlnets_reference_only_acts_too(client, checkpoint):
    # Weight 1 leaves layers of less than 500 channels alone, and tiny models have no others.
    theirs = {"alwayson_scripts": controlnet(client, "reference_only", STARS, weight=1.5)}
    plain, alone = picture(client), picture(client, **theirs)
    styled, both = picture(client, STYLE), picture(client, STYLE, **theirs)
    assert difference(plain, alone) > VISIBLE / 10
    assert difference(both, alone) > VISIBLE
    assert difference(both, styled) > VISIBLE / 10
    assert np.array_equal(plain, picture(client))


# -- sd-forge-couple -----------------------------------------------------------------------------


def coupled(client, *texts):
    theirs = script(client, "forge couple")
    return {"prompt": "\n".join(texts), "alwayson_scripts": theirs}


def test_regions_of_a_prompt_are_styled_too(client, checkpoint):
    fields = {**coupled(client, "a red cat", "a blue house"), "batch_size": 2}
    plain, styled = (client.generate(*units, **fields) for units in ([], [STYLE]))
    assert styled.status == 200, styled.detail
    for a, b in zip(plain.images, styled.images):
        assert difference(a, b) > VISIBLE
    assert plain.bytes == client.generate(**fields).bytes


@pytest.mark.parametrize("negative", [0, 1])
def test_rows_are_told_apart_where_regions_add_some(client, negative):
    """Regions that all have the prompt's own words are no regions."""
    client.options(sd_model_checkpoint="tiny_sd15.safetensors")  # SDXL would see other words too
    unit = {**STYLE, "negative_weight": negative}
    fields = {**coupled(client, "a cat", "a cat", "a cat"), "batch_size": 2}
    regions = client.generate(unit, **fields)
    assert regions.status == 200, regions.detail
    whole = client.generate(unit, prompt="a cat", batch_size=2)
    for a, b in zip(regions.images, whole.images):
        assert difference(a, b) < 0.1


def test_a_reference_for_each_picture_is_refused_beside_regions(client, checkpoint):
    fields = {**coupled(client, "a cat", "a dog"), "batch_size": 2}
    answer = client.generate({"image": [COFFEE, STARS], "combine": "each"}, **fields)
    assert answer.status == 422
    assert "combine 'each' cannot be used" in answer.detail
