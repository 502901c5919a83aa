"""The names of an IP-Adapter's tensors, by the tools that save adapters.

Released files say `image_proj.*` and `ip_adapter.N.*`. Those saved straight from training say
`image_proj_model.*` and `adapter_modules.N.*`, often beside a whole `unet.*`, whose attention
processors are the same modules: of tensors that have two names a .safetensors file keeps one, and
then the layers are called `unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.processor.
to_k_ip.weight` and the like. A UNet that diffusers saved with an adapter in it says so too, and
calls the projection its own way. Sources: tencent-ailab/IP-Adapter, README and training scripts;
diffusers, loaders/unet.py and models/embeddings.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lib_instantstyle.layout import LAYOUTS, parse_attn2

PROJECTION_PREFIX, ATTENTION = "image_proj.", "ip_adapter."
_PREFIXES = (  # as released first: where a file has both, that half was meant to be used
    (PROJECTION_PREFIX, PROJECTION_PREFIX),
    (ATTENTION, ATTENTION),
    ("image_proj_model.", PROJECTION_PREFIX),
    ("adapter_modules.", ATTENTION),
)
_PROCESSOR = re.compile(r"^(.+\.attn2)\.processor\.(to_[kv]_ip)(?:\.(\d{1,3}))?\.weight$")
_PROCESSOR_LORA = re.compile(r"^(.+\.attn2)\.processor\.(to_(?:q|k|v|out)_lora\..+)$")
DIFFUSERS_PROJECTION = "encoder_hid_proj.image_projection_layers."
_PROJECTION = re.compile(rf"^(?:unet\.)?{re.escape(DIFFUSERS_PROJECTION)}0\.(.+)$")
_LINEAR = {"image_embeds": "proj", "norm": "norm"}
_FULL_FACE = {"ff.net.0.proj": "proj.0", "ff.net.2": "proj.2", "norm": "proj.3"}

_Place = tuple[str, int]  # name of a block, number of a transformer block in it


def adapter_names(names: Iterable[str]) -> dict[str, str]:
    """Released name -> name in the file, for every tensor that belongs to an adapter."""
    found: dict[str, str] = {}
    names = list(names)
    for prefix, released in _PREFIXES:
        for name in names:
            if name.startswith(prefix):
                found.setdefault(released + name.removeprefix(prefix), name)
    for released, name in {**_in_processors(names), **_of_diffusers(names)}.items():
        found.setdefault(released, name)
    return found


def not_mapped(names: Iterable[str]) -> str | None:
    """Why layers that are named by attention processors cannot be used, the end of a sentence.

    None where there are none, or all have their adapter number.
    """
    found = [match for name in names if (match := _PROCESSOR.match(name))]
    if not found:
        return None
    if any(match[3] not in (None, "0") for match in found):
        why = "there are several of them"
    elif _numbers(_places(found)) is None:
        why = f"its layers, such as {found[0][1]}, are not those of one of SD1.5 and SDXL alone"
    else:
        return None
    return (
        f"holds an IP-Adapter in a UNet's attention processors, and {why}; save it in the released "
        "layout, with image_proj and ip_adapter"
    )


def _in_processors(names: list[str]) -> dict[str, str]:
    found = [match for name in names if (match := _PROCESSOR.match(name))]
    numbers = _numbers(_places(found))
    if not found or numbers is None or any(match[3] not in (None, "0") for match in found):
        return {}
    released = {}
    for match in (*found, *(m for name in names if (m := _PROCESSOR_LORA.match(name)))):
        place = parse_attn2(match[1])
        if place in numbers:
            ending = f"{match[2]}.weight" if match.re is _PROCESSOR else match[2]
            released[f"{ATTENTION}{numbers[place]}.{ending}"] = match[0]
    return released


def _places(found: Iterable[re.Match[str]]) -> set[_Place | None]:
    return {parse_attn2(match[1]) for match in found}


def _numbers(places: set[_Place | None]) -> Mapping[_Place | None, int] | None:
    """The adapter numbers of the one layout that has all of `places`; None if there is not one."""
    fitting = []
    for layout in LAYOUTS.values():
        numbers: dict[_Place | None, int] = {
            (name, layer.depth_index): layer.number
            for layer in layout.layers
            for name in (layer.block.diffusers, layer.block.ldm)
        }
        if places <= numbers.keys():
            fitting.append(numbers)
    return fitting[0] if len(fitting) == 1 else None


def _of_diffusers(names: list[str]) -> dict[str, str]:
    """The projections whose parts diffusers only calls otherwise; a Resampler it also cuts up."""
    theirs = {match[1]: name for name in names if (match := _PROJECTION.match(name))}
    for renamed in (_LINEAR, _FULL_FACE):
        parts = {part: part.rpartition(".")[0] for part in theirs}
        if theirs and set(parts.values()) == set(renamed):
            return {
                f"{PROJECTION_PREFIX}{renamed[owner]}.{part.rpartition('.')[2]}": theirs[part]
                for part, owner in parts.items()
            }
    return {}
