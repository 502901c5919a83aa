"""Beside guidance and other changes of the UNet in the Forge family, built in or extensions.

The extensions are sd-perturbed-attention (PAG, NAG and others) and sd-forge-nag. What a WebUI lacks
is skipped.
"""

from __future__ import annotations

import pytest

from tests.webui.client import difference
from tests.webui.companions import script
from tests.webui.conftest import either_family
from tests.webui.ways import COFFEE, STARS, VISIBLE

THEIRS = {
    "perturbedattentionguidance": {},
    "selfattentionguidance": {},
    "freeu": {"B1": 1.6, "B2": 1.8},
    "dynamicthresholding": {},
    "latentmodifier": {"Sharpness Multiplier": 10},
    "kohya hrfix": {},
    "normalized attention guidance": {"NAG Negative Prompt": "blurry"},  # in attn2
    "nag - normalized attention guidance": {},
    "perturbed-attention guidance": {"U-Net Block List": ""},
    "smoothed energy guidance": {"U-Net Block List": ""},
    "token perturbation guidance": {},
    "frequency-decoupled guidance": {},
}
SHUFFLES = "token perturbation guidance"  # by chance: no two of its pictures are the same
STYLE = {"image": COFFEE, "preset": "original"}
OURS = {
    "style": STYLE,
    "guidance": {**STYLE, "attention_guidance": 3, "negative_image": STARS},
    "fusion": {**STYLE, "fusion": "adain"},
    "layout": {**STYLE, "layout_lock": 0.6},
    "swap": {"image": STARS, "method": "swap", "reference_noise": "same"},
}


@either_family
@pytest.mark.parametrize("ours", OURS.values(), ids=OURS.keys())
@pytest.mark.parametrize("theirs", THEIRS)
def test_both_act(client, checkpoint, theirs, ours):
    """Each acts alone and beside the other, the same way each time, and leaves nothing."""
    scripts = script(client, theirs, **THEIRS[theirs])

    def picture(*units, **beside):
        answer = client.generate(*units, steps=4, alwayson_scripts=beside)
        assert answer.status == 200, answer.detail
        assert "note" not in answer.infotexts[0], answer.infotexts[0]
        return answer.images[0]

    plain, styled, alone = picture(), picture(ours), picture(**scripts)
    both = picture(ours, **scripts)
    if theirs == "freeu" and not alone.any():
        pytest.skip("FreeU gives black pictures with this model")
    assert difference(styled, plain) > VISIBLE and difference(both, alone) > VISIBLE
    if difference(alone, plain) > VISIBLE:  # some do next to nothing to a tiny model
        assert difference(both, styled) > VISIBLE / 2
    if theirs != SHUFFLES:
        assert difference(picture(ours, **scripts), both) < 0.05
    assert difference(picture(), plain) < 0.05
