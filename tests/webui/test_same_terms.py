"""Two WebUIs add the same term to each cross-attention: the same tiny weights, seed and unit.

Needs two running WebUIs with the tiny models and the extension `term_probe`, A1111 and Forge say,
in INSTANTSTYLE_WEBUI_URL and INSTANTSTYLE_WEBUI_URL_OTHER. The two modes of the miniature are
compared by tests/host/forge_mode/test_same_numbers.py.
"""

import os

import numpy as np
import pytest

from tests.webui.client import Client, reference
from tests.webui.terms import added, first_call, needs_probe
from tests.webui.ways import masked

CLOSE = 1e-5  # of the largest number in a term: the queries come out of each WebUI's own UNet
COFFEE, STARS = reference("coffee.jpg"), reference("deep_field.jpg")
UNIT = {"image": COFFEE, "preset": "original", "negative_weight": 0.5}
CASES = {
    "original": ([UNIT], {}),
    "plus": ([{**UNIT, "adapter": "plus"}], {}),
    "two units with masks": (
        [
            {**UNIT, "mask": masked(True, 128, 64)},
            {"image": STARS, "preset": "original", "mask": masked(False, 128, 64)},
        ],
        {"width": 128},  # no odd grids: the WebUIs' own UNets enlarge these differently
    ),
}
LAYERS = {"tiny_sdxl": 70, "tiny_sd15": 16}
PLUS = {"tiny_sdxl": "ip-adapter-plus_sdxl_vit-h", "tiny_sd15": "ip-adapter-plus_sd15"}


@pytest.fixture(scope="module")
def other(client):
    url = os.environ.get("INSTANTSTYLE_WEBUI_URL_OTHER")
    if not url:
        pytest.skip("NOT RUN: INSTANTSTYLE_WEBUI_URL_OTHER names no second WebUI to compare with")
    found = Client(url.rstrip("/"))
    for each in (client, found):
        needs_probe(each)
    return found


def recorded(client, *units, **fields):
    """With all rows in the first call: Forge Classic would begin with those of the prompt."""
    name = "skip_early_cond"
    before = client.get("/sdapi/v1/options").get(name)
    if before is None:
        return first_call(client, *units, **fields)
    client.options(**{name: -1})
    try:
        return first_call(client, *units, **fields)
    finally:
        client.options(**{name: before})


@pytest.mark.parametrize("case", list(CASES))
def test_the_added_terms_are_equal(client, other, checkpoint, case):
    other.options(sd_model_checkpoint=f"{checkpoint}.safetensors")
    units, fields = CASES[case]
    units = [{**u, "adapter": PLUS[checkpoint]} if "adapter" in u else u for u in units]
    # Forge Neo's own is 2.
    fields = {"batch_size": 2, "override_settings": {"CLIP_stop_at_last_layers": 1}, **fields}
    here, there = (recorded(each, *units, **fields) for each in (client, other))
    for name in ("x", "timesteps", "context"):
        np.testing.assert_allclose(here[name], there[name], atol=1e-4, err_msg=name)
    terms, others = added(here), added(there)
    assert terms.keys() == others.keys() and len(terms) == LAYERS[checkpoint]
    for name, term in terms.items():
        assert len(term) == 4 and all(np.abs(row).max() > 1e-3 for row in term), name
        assert np.abs(term[:2] - term[2:]).max() > 1e-3, name  # prompt rows and negative ones
    apart = {name: np.abs(term - others[name]).max() for name, term in terms.items()}
    shares = {name: apart[name] / np.abs(term).max() for name, term in terms.items()}
    print(
        f"{checkpoint}, {case}: {max(apart.values()):.1e}, {max(shares.values()):.1e} of the term"
    )
    assert max(shares.values()) < CLOSE
