"""A layout that holds, in a WebUI: the miniature or a real one."""

from __future__ import annotations

import pytest

from tests.webui.client import difference
from tests.webui.conftest import either_family
from tests.webui.ways import COFFEE, WAYS

CHOSEN = ["txt2img", "cfg 1", "batch 2 x 2", "hires fix", "img2img", "inpaint", "DDIM", "Heun"]
ALL = {"image": COFFEE, "preset": "original"}
LOCKED = {**ALL, "layout_lock": 0.6}
NOTHING = {**LOCKED, "layout_lock": 1, "weight": 1e-7}  # plain and styled picture are the same


@either_family
@pytest.mark.parametrize("way", [*CHOSEN, "DPM++ 2M", "Euler a"])
def test_the_layout_of_the_picture_without_the_style(client, checkpoint, way):
    fields = {**WAYS[way], "steps": 4} if way in WAYS else {"sampler_name": way, "steps": 4}
    plain, unlocked = client.generate(**fields), client.generate(ALL, **fields)
    again = client.generate(**fields) if way == "inpaint" else plain
    if difference(again.images[0], plain.images[0]) > 0.05:
        pytest.skip("inpainting in this WebUI gives another picture each time")
    locked, nothing = client.generate(LOCKED, **fields), client.generate(NOTHING, **fields)
    for answer in (plain, unlocked, locked, nothing):
        assert answer.status == 200, answer.detail
    for i, picture in enumerate(locked.images):
        assert difference(picture, plain.images[i]) > 0.2
        assert difference(picture, unlocked.images[i]) > 0
        assert difference(nothing.images[i], plain.images[i]) < 0.5
    assert "layout_lock: 0.6" in locked.infotexts[0]
    assert difference(client.generate(**fields).images[0], plain.images[0]) < 0.05


@either_family
def test_the_first_picture_of_a_batch_gives_its_layout(client, checkpoint):
    fields = {"batch_size": 2, "n_iter": 2, "steps": 4}
    plain = client.generate(steps=4).images[0]
    found = client.generate({**LOCKED, "layout_from": "first picture"}, **fields)
    assert found.status == 200, found.detail
    alone = client.generate(LOCKED, steps=4).images[0]
    assert difference(found.images[0], plain) < 0.5
    assert difference(found.images[1], alone) < 0.5 < difference(plain, alone)
    seeds = [text.split("Seed: ")[1].split(",")[0] for text in found.infotexts]
    assert seeds == ["7", "7", "9", "9"]
    refused = client.generate({**LOCKED, "layout_from": "first picture"})
    assert refused.status == 422 and "a batch of two or more is allowed" in refused.detail
