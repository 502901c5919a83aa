"""Reading block weights, entry by entry: from text, JSON, diffusers' scale dictionary, other tools.

Block weights as other tools write them stand behind the tool's name:

- `ipadapter plus: style transfer` (a weight type) or `ipadapter plus: 3:2.5, 6:1` (its
  `layer_weights`: transformer index and weight);
- `controlnet: style transfer` (a weight type of sd-webui-controlnet) or `controlnet: [0, 0, ...]`
  (its `advanced_weighting`: 11 numbers for SDXL, 16 for SD1.5). There the list replaces the unit's
  weight. Here the unit's weight multiplies the list as it does every block weight: at weight 1 the
  two are the same. Numbers below 0 count as 0 in both;
- `reforge: Style (Strong)` (a preset) or `reforge: 0, 0, ...` (its 11 numbers, for SDXL). With a
  number below 0 reForge scales K and V instead of the output; here it is a plain negative weight;
- `diffusers: {"up": {"block_0": [0, 1, 0]}}`.

Sources: cubiq/ComfyUI_IPAdapter_plus, Mikubill/sd-webui-controlnet,
Panchovix/stable-diffusion-webui-reForge, huggingface/diffusers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.layout import SDXL
from lib_instantstyle.units.presets import DEPTH_CURVES, PRESETS, Preset, WeightFactor

LIMIT = 10.0  # of one entry, either sign
Entries = list[tuple[str, float]]  # selector of blocks, weight

_ENTRY = re.compile(r"[^;,]+")
_SELECTOR = re.compile(r"\*|[0-9]{1,9}|[a-z_]+(?:\.(?:[0-9]{1,9}|attentions))*")
_DIFFUSERS_PARTS = {"down": "down_blocks", "mid": "mid_block", "up": "up_blocks"}


def read_text(text: str, offset: int = 0) -> tuple[Entries, list[float]]:
    """Named entries, or plain numbers; never both.

    offset: characters that stood before `text` where the user wrote it.
    """
    entries: Entries = []
    plain: list[float] = []
    for match in _ENTRY.finditer(text):
        raw = match.group()
        entry = raw.strip()
        if not entry:
            continue
        begin = offset + match.start() + len(raw) - len(raw.lstrip())
        where = f"{shorten(entry)} at character {begin + 1}"
        named = re.fullmatch(r"([^=:]*)[=:](.*)", entry, re.DOTALL)
        if named:
            entries.append((_selector(named[1], where), read_weight(named[2], where)))
        else:
            plain.append(read_weight(entry, where))
        if plain and entries:
            raise InstantStyleError(
                f"blocks mixes plain numbers with named entries ({where}); use one of the two."
            )
    return entries, plain


def read_json_weights(text: str, offset: int = 0) -> object:
    """The object or list in a JSON text."""
    try:
        return read_json(text)
    except UnreadableJson as error:
        where = "" if error.position is None else f" at character {offset + error.position + 1}"
        problem = f"{error}{where}"
    raise InstantStyleError(f"blocks: {shorten(text)} is no JSON text: {problem}.") from None


def read_list(values: Sequence[object]) -> list[float]:
    """One number for each transformer."""
    return [read_weight(value, f"entry {i}") for i, value in enumerate(values, start=1)]


def read_mapping(value: Mapping[object, object]) -> Entries:
    """An object of selectors, or diffusers' scale dictionary."""
    if value.keys() <= _DIFFUSERS_PARTS.keys():
        return _diffusers_entries(value)
    return [
        (_selector(str(key), shorten(key)), read_weight(weight, shorten(key)))
        for key, weight in value.items()
    ]


def read_weight(value: object, where: str) -> float:
    """A number from -LIMIT to LIMIT, or numeric text; where: what an error calls it."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]  # anything float() takes, checked below
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LIMIT:
        raise InstantStyleError(
            f"blocks: {where} has the weight {shorten(value)}; "
            f"a number from -{LIMIT:g} to {LIMIT:g} is allowed."
        )
    return number


def _diffusers_entries(value: Mapping[object, object]) -> Entries:
    entries: Entries = []
    for part, content in value.items():
        name = _DIFFUSERS_PARTS[str(part)]
        if not isinstance(content, Mapping):
            if isinstance(content, Sequence) and not isinstance(content, str):
                if len(content) != 1:
                    raise InstantStyleError(f"blocks: {part!r} takes one number or one per block.")
                content = content[0]
            entries.append((name, read_weight(content, repr(part))))
            continue
        for block, weights in content.items():
            match = re.fullmatch(r"block_([0-9]{1,9})", str(block))
            if part == "mid" or not match:
                raise InstantStyleError(
                    f"blocks: {shorten(block)} under {part!r} is unknown; block_0, block_1, ... "
                    "under 'down' and 'up' are allowed."
                )
            head = f"{name}.{match.group(1)}"
            if not isinstance(weights, Sequence) or isinstance(weights, str):
                weights = [weights]
            if len(weights) == 1:  # one for all transformers of the block
                entries.append((head, read_weight(weights[0], head)))
                continue
            for j, weight in enumerate(weights):
                transformer = f"{head}.attentions.{j}"
                entries.append((transformer, read_weight(weight, transformer)))
    return entries


def _selector(text: str, where: str) -> str:
    selector = text.strip().lower()
    if not _SELECTOR.fullmatch(selector):
        raise InstantStyleError(
            f"blocks: {where} names no block; a transformer index, a block name such as "
            "up_blocks.0.attentions.1, the head of one, or * is allowed."
        )
    return selector


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
