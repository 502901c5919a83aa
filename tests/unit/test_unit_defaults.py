"""Defaults are part of the public interface: a request that leaves a field out means these."""

import pytest

from tests.units import parse_unit

DEFAULTS = {
    "enabled": True,
    "method": "ip-adapter",
    "adapter": "auto",
    "preset": "style",
    "weight": 1.0,
    "layout_weight": None,
    "boost": None,
    "negative_weight": 1.0,
    "start": 0.0,
    "end": 1.0,
    "time_curve": "constant",
    "content": "",
    "content_scale": 0.5,
    "content_mode": "difference",
    "clip_source": "auto",
    "negative_image": None,
    "reference_mask": None,
    "crop": "center",
    "combine": "concat",
    "embeds_scaling": "V only",
    "mask": None,
    "hires_pass": "both",
    "report": False,
    "leak_meter": False,
}


@pytest.mark.parametrize("given", [{}, dict.fromkeys(DEFAULTS)], ids=["absent", "null"])
def test_a_field_that_is_not_given_means_its_default(given):
    unit = parse_unit(given)
    assert {name: getattr(unit, name) for name in DEFAULTS} == DEFAULTS
