"""X/Y/Z plots by API, with axes of ours."""

from itertools import pairwise

import pytest

from tests.webui.client import difference, reference

PLOT = "X/Y/Z plot"
UNIT = {"image": reference()}
SAME = 0.05  # 8-bit levels: Forge and Classic vary in the last bit with what was made before


def plot(client, label, values, *units, other=("Nothing", "")):
    scripts = client.get("/sdapi/v1/script-info")
    info = next(s for s in scripts if s["name"] == PLOT.lower() and not s["is_img2img"])
    labels = info["args"][0]["choices"]
    axes = [v for axis in ((label, values), other, ("Nothing", "")) for v in (*axis, [])]
    axes[::3] = [labels.index(name) for name in axes[::3]]
    switches = {"Include Sub Images": True, "Use text inputs instead of dropdowns": True}
    rest = [switches.get(arg["label"], arg["value"] or 0) for arg in info["args"][9:]]
    return client.generate(*units, script_name=PLOT, script_args=[*axes, *rest])


@pytest.mark.parametrize(
    ("label", "values", "changes"),
    [
        ("weight", "0-2 (+1)", [{"weight": w} for w in (0, 1, 2)]),
        ("preset", "style, original", [{"preset": "style"}, {"preset": "original"}]),
        ("each single block", "6, 8", [{"blocks": "6=1"}, {"blocks": "8=1"}]),
    ],
)
def test_a_cell_is_the_picture_that_its_value_makes_alone(client, label, values, changes):
    client.options(sd_model_checkpoint="tiny_sd15.safetensors")
    answer = plot(client, f"[InstantStyle] {label}", values, UNIT)
    assert answer.status == 200, answer.detail
    cells = answer.images[-len(changes) :]
    for cell, change in zip(cells, changes):
        assert difference(cell, client.generate({**UNIT, **change}).images[0]) < SAME
    assert all(difference(a, b) > SAME for a, b in pairwise(cells))


def test_a_wrong_value_is_one_sentence(client):
    answer = plot(client, "[InstantStyle] weight", "1, 9", UNIT)
    assert answer.status == 422
    assert "weight is 9.0; a number from -2 to 5 is allowed" in answer.detail


def test_no_request_has_a_path_opened(client):
    answer = plot(client, "[InstantStyle] reference files", "/etc/passwd", UNIT)
    assert answer.status == 422
    assert "files can be named on the page" in answer.detail
