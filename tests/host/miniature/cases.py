"""The requests that bring every order of rows, and the rows of their UNet calls."""

from __future__ import annotations

CHECKPOINTS = ("tiny_sd15", "tiny_sdxl")
LONG = "a very long prompt about " + "cats and dogs " * 80

BOTH = ["c0 c1 u0 u1"]
ROWS = {
    "cfg 7": ({}, {}, [BOTH] * 3),
    "cfg 1 calls both": ({"cfg_scale": 1}, {}, [BOTH] * 3),
    "heun calls twice": ({"sampler_name": "Heun"}, {}, [BOTH] * 5),
    "euler a": ({"sampler_name": "Euler a"}, {}, [BOTH] * 3),
    "dpm++ 2m": ({"sampler_name": "DPM++ 2M"}, {}, [BOTH] * 3),
    "ddim": ({"sampler_name": "DDIM"}, {}, [BOTH] * 3),
    "long prompt": ({"prompt": LONG}, {}, [["c0 c1", "u0 u1"]] * 3),
    "long negative": ({"negative_prompt": LONG}, {}, [["c0 c1", "u0 u1"]] * 3),
    "padded": ({"prompt": LONG}, {"pad_cond_uncond": True}, [BOTH] * 3),
    "padded v0": ({"prompt": LONG}, {"pad_cond_uncond_v0": True}, [BOTH] * 3),
    "padded negative": ({"negative_prompt": LONG}, {"pad_cond_uncond": True}, [BOTH] * 3),
    "AND": ({"prompt": "a cat AND a dog"}, {}, [["c0 c1 c2 c3 u0 u1"]] * 3),
    "AND and long": (
        {"prompt": f"a cat AND {LONG}"},
        {},
        [["c0 c1 c2 c3", "u0 u1"]] * 3,
    ),
    "s_min_uncond": ({"s_min_uncond": 100}, {}, [BOTH, ["c0 c1"], BOTH]),
    "s_min_uncond_all": ({"s_min_uncond": 100}, {"s_min_uncond_all": True}, [["c0 c1"]] * 3),
    "skip_early_cond": ({}, {"skip_early_cond": 0.3}, [["c0 c1"], BOTH, BOTH]),
    "batch_cond_uncond off": ({}, {"batch_cond_uncond": False}, [["c0 c1", "u0 u1"]] * 3),
    "off and AND": (
        {"prompt": "a cat AND a dog"},
        {"batch_cond_uncond": False},
        [["c0 c1", "c2 c3", "u0 u1"]] * 3,
    ),
    "off and AND and long": (
        {"prompt": f"a cat AND {LONG}"},
        {"batch_cond_uncond": False},
        [["c0 c1", "c2 c3", "u0 u1"]] * 3,
    ),
}
