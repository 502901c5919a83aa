"""Block weights as other tools write them, behind the tool's name.

- `ipadapter plus: style transfer` (a weight type) or `ipadapter plus: 3:2.5, 6:1` (its
  `layer_weights`: transformer index and weight);
- `controlnet: style transfer` (a weight type of sd-webui-controlnet) or `controlnet: [0, 0, ...]`
  (its `advanced_weighting`: 11 numbers for SDXL, 16 for SD1.5). There the list replaces the unit's
  weight and numbers below 0 count as 0. Here the unit's weight multiplies the list as it does every
  block weight: at weight 1 the two are the same. Numbers below 0 count as 0 here too;
- `reforge: Style (Strong)` (a preset) or `reforge: 0, 0, ...` (its 11 numbers, for SDXL). With a
  number below 0 reForge scales K and V instead of the output; here it is a plain negative weight;
- `diffusers: {"up": {"block_0": [0, 1, 0]}}`.

Sources: cubiq/ComfyUI_IPAdapter_plus, Mikubill/sd-webui-controlnet,
Panchovix/stable-diffusion-webui-reForge, huggingface/diffusers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lib_instantstyle.pure.depth_curves import DEPTH_CURVES
from lib_instantstyle.pure.layers import SDXL
from lib_instantstyle.pure.presets import PRESETS, Preset, WeightFactor

IPADAPTER_PLUS, CONTROLNET, REFORGE, DIFFUSERS = (
    "ipadapter plus",
    "controlnet",
    "reforge",
    "diffusers",
)
PREFIX = re.compile(r"\s*(ipadapter[ _-]?plus|controlnet|reforge|diffusers)\s*:\s*", re.IGNORECASE)

_WEIGHT_TYPES = {  # of IPAdapter plus and ControlNet alike -> preset
    **{name: f"depth: {name}" for name in DEPTH_CURVES},
    "style transfer": "style transfer (IPAdapter plus)",
    "composition": "layout",
    "strong style transfer": "strong style",
    "style and composition": "style+composition (IPAdapter plus)",
    "strong style and composition": "strong style+composition",
}
_ONLY_PLUS = {
    "linear": "original",
    "style transfer precise": "style precise",
    "composition precise": "layout precise",
    "standard": "original",  # this and the next of the simple node
    "prompt is more important": "depth: ease out",
}
_REFORGE = {
    "Default": (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    "Style": (0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0),
    "Style (Strong)": (1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1),
    "Composition": (0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0),
    "Composition (Strong)": (0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0),
    "Style+Composition": (0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0),
}


def _reforge_preset(name: str, numbers: tuple[int, ...]) -> Preset:
    weight_factors = {i: WeightFactor(float(number)) for i, number in enumerate(numbers) if number}
    return Preset(f"{REFORGE}: {name}", "A preset of reForge", "reForge", {SDXL.id: weight_factors})


# Tool -> its name for a choice of blocks -> the same as a preset.
NAMES: Mapping[str, Mapping[str, Preset]] = {
    IPADAPTER_PLUS: {name: PRESETS[our] for name, our in (_ONLY_PLUS | _WEIGHT_TYPES).items()},
    CONTROLNET: {
        name: PRESETS[our] for name, our in ({"normal": "original"} | _WEIGHT_TYPES).items()
    },
    REFORGE: {name: _reforge_preset(name, numbers) for name, numbers in _REFORGE.items()},
    DIFFUSERS: {},
}
# "tool: name" -> preset
NAMED: Mapping[str, Preset] = {
    f"{tool}: {name}": preset for tool, names in NAMES.items() for name, preset in names.items()
}
COUNTS = {CONTROLNET: (11, 16), REFORGE: (11,)}  # numbers in a plain list


def tool_of(prefix: str) -> str:
    """The tool that a match of PREFIX names."""
    return IPADAPTER_PLUS if prefix.lower().startswith("ipadapter") else prefix.lower()


def find_name(tool: str, text: str) -> str | None:
    """The key in NAMED for the name `text` of `tool`, in whatever case, or None."""
    wanted = text.casefold()
    return next((f"{tool}: {name}" for name in NAMES[tool] if name.casefold() == wanted), None)
