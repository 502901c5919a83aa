"""Each function of ours that runs while the sampler does, failing once in the midst of it.

Which functions these are is seen, not listed.
"""

from __future__ import annotations

from tests.host.breaking import break_each, img2img, txt2img
from tests.host.generations import UNIT, picture

STARS = picture("deep_field.jpg")
GENERATIONS = {
    "adapter": txt2img(
        {**UNIT, "mask": STARS, "report": True, "preset": "style+layout", "end": 0.9},
        {"image": STARS, "auto_weight": 0.3, "time_curve": "falling"},
    ),
    "styleid": img2img({"image": STARS, "method": "styleid"}),
    "stylealigned": txt2img({"image": STARS, "method": "stylealigned", "shared_norms": True}),
    "swap": txt2img({"image": STARS, "method": "swap", "colour_calibration": True}),
}


def test_any_function_may_fail_while_sampling(webui):
    wrong, broken = [], set()
    for make in GENERATIONS.values():
        called, found = break_each(webui, make, broken)
        wrong += found
        broken |= called
    assert wrong == []
    assert len(broken) > 80
