"""The layers of SDXL's style block and content block in a LoRA file, by names and shapes.

A B-LoRA is trained in these two blocks alone; of any other LoRA for SDXL they can be used alone.
Names come in many spellings: diffusers' and ldm's names of blocks, with dots or (kohya) with
underscores, behind several prefixes, the two factors called down and up, or A and B. alpha is a
tensor beside the factors, or (diffusers with peft) an entry in the file's metadata.

Sources: Frenkel et al., "Implicit Style-Content Separation using B-LoRA", arXiv 2403.14572,
https://github.com/yardenfren1996/B-LoRA; for alpha diffusers, loaders/lora_base.py
(LoraBaseMixin), and peft, utils/other.py (get_pattern_key).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.files.tensor_info import TensorInfo, Tensors
from lib_instantstyle.layout import SDXL, Block

STYLE, CONTENT = HALVES = ("style", "content")
BLOCK_OF_HALF: Mapping[str, Block] = {STYLE: SDXL.blocks[6], CONTENT: SDXL.blocks[5]}

_ATTENTION = tuple(
    f"{attention}.{part}"
    for attention in ("attn1", "attn2")
    for part in ("to_q", "to_k", "to_v", "to_out.0")
)
_LINEAR = (  # the linear layers of a block, which both UNets call the same
    "proj_in",
    "proj_out",
    *(
        f"transformer_blocks.{k}.{part}"
        for k in range(SDXL.blocks[6].depth)
        for part in (*_ATTENTION, "ff.net.0.proj", "ff.net.2")
    ),
)
_PLACES = {
    f"{name}.{path}".replace(".", "_"): (half, path)
    for half, block in BLOCK_OF_HALF.items()
    for name in (block.diffusers, block.ldm)
    for path in _LINEAR
}
_PREFIXES = re.compile(
    r"^(?:base_model\.model\.|(?:model[._])?diffusion_model[._]|unet[._]|lora_unet_|lycoris_)+"
)
_FACTOR = re.compile(
    r"(?:lora(?:_linear_layer)?[._])?(?:(down|A)|(up|B))(?:\.default(?:_\d+)?)?\.weight"
)
_SMALLER_UNET = re.compile(  # blocks with attention in SD1.5 and SD2, without it in SDXL
    r"(?:down_blocks[._]0|up_blocks[._]3)[._]attentions|"
    r"(?:input_blocks[._][12]|output_blocks[._](?:9|10|11))[._]1[._]"
)
_KEY, _PART = "lora_adapter_metadata", "unet."  # of the metadata, and of its entries for the UNet
_OTHER_KINDS = {  # how the ending of a name begins
    "hada_": "a LoHa",
    "lokr_": "a LoKr",
    "dora_scale": "a DoRA",
    "lora_magnitude_vector": "a DoRA",
    "lora_mid": "a CP-decomposed LoCon",
    "oft_": "an OFT",
    "on_input": "an (IA)3",
    "diff": "a full difference",
}


@dataclass(frozen=True)
class LoraLayer:
    """What a LoRA adds to the output of one linear layer: (x down^T) up^T alpha / rank."""

    path: str  # in its block: "transformer_blocks.0.attn1.to_q"
    down: str  # name of the tensor [rank, in]
    up: str  # name of the tensor [out, rank]
    alpha: str | None  # name of a tensor of one number; none: alpha is rank
    rank: int
    shape: tuple[int, int]  # out, in


Halves = Mapping[str, tuple[LoraLayer, ...]]
"""STYLE and CONTENT, each with its layers; empty where the file has none."""


def lora_halves(tensors: Tensors) -> Halves:
    """The layers of each half, sorted by path.

    Raises InstantStyleError with the end of a sentence that begins with the file's name.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name in tensors:
        place = _place(name)
        if place is not None:
            half, path, ending = place
            found.setdefault((half, path), {})[_part(ending)] = name
    if not found:
        raise InstantStyleError(_nothing(tensors))
    layers: dict[str, list[LoraLayer]] = {half: [] for half in HALVES}
    for (half, path), parts in sorted(found.items()):
        layers[half].append(_layer(path, parts, tensors))
    return {half: tuple(of_half) for half, of_half in layers.items()}


def _place(name: str) -> tuple[str, str, str] | None:
    """Half, layer and the rest of a tensor's name; None if it is of another block."""
    base = name
    while "." in base:
        base = base.rpartition(".")[0]
        flat = _PREFIXES.sub("", base).replace(".", "_")
        if "_processor_" in flat:  # diffusers before 0.22: attn1.processor.to_out_lora
            flat = flat.replace("_processor_", "_").removesuffix("_lora")
            flat = f"{flat}_0" if flat.endswith("to_out") else flat
        if flat in _PLACES:
            return (*_PLACES[flat], name[len(base) + 1 :])
    return None


def _part(ending: str) -> str:
    """ "down", "up" or "alpha"; raises for what no plain LoRA has."""
    if ending == "alpha":
        return ending
    factor = _FACTOR.fullmatch(ending)
    if factor:
        return "down" if factor[1] else "up"
    kinds = (kind for start, kind in _OTHER_KINDS.items() if ending.startswith(start))
    kind = next(kinds, f"a network with {ending[:40]!r}")
    raise InstantStyleError(
        f"is {kind}, not a plain LoRA with two factors for each layer; convert it, or choose "
        "another file"
    )


def _layer(path: str, parts: Mapping[str, str], tensors: Tensors) -> LoraLayer:
    missing = [part for part in ("down", "up") if part not in parts]
    if missing:
        raise InstantStyleError(f"lacks the factor {missing[0]!r} of {path}; download it again")
    down, up = (_matrix(tensors[parts[part]]) for part in ("down", "up"))
    if down is None or up is None or down[0] != up[1] or not down[0]:
        shapes = " and ".join(str(tensors[parts[part]].shape) for part in ("down", "up"))
        raise InstantStyleError(f"has factors of shapes {shapes} for {path}, which do not match")
    return LoraLayer(
        path, parts["down"], parts["up"], parts.get("alpha"), down[0], (up[0], down[1])
    )


def _matrix(tensor: TensorInfo) -> tuple[int, int] | None:
    """Rows and columns; some trainers write a matrix as a convolution of one pixel."""
    if len(tensor.shape) not in (2, 4) or any(side != 1 for side in tensor.shape[2:]):
        return None
    return tensor.shape[0], tensor.shape[1]


def _nothing(tensors: Tensors) -> str:
    blocks = " and ".join(block.diffusers for block in BLOCK_OF_HALF.values())
    if any(_SMALLER_UNET.search(name) for name in tensors):
        return f"is a LoRA for SD1.5 or SD2; one for SDXL is needed, with layers of {blocks}"
    return f"holds no LoRA layer of SDXL's {blocks}; choose a LoRA trained on SDXL's UNet"


def scale_in_metadata(metadata: Mapping[str, str], layer: str, rank: int) -> float:
    """The scale of the product of the factors of `layer` (its diffusers name).

    alpha / rank, or alpha / sqrt(rank) if rank-stabilised; 1 if the metadata has no alpha.
    Raises UnreadableJson for metadata beyond the budgets.
    """
    config = _config(metadata)
    alpha = config.get("lora_alpha")
    pattern = config.get("alpha_pattern")
    if isinstance(pattern, Mapping):
        named = (x for key, x in pattern.items() if layer == key or layer.endswith(f".{key}"))
        alpha = next(named, alpha)
    if not isinstance(alpha, (int, float)):
        return 1.0
    return alpha / (math.sqrt(rank) if config.get("use_rslora") is True else rank)


def _config(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        content = read_json(metadata.get(_KEY, "{}"))
    except UnreadableJson as error:
        if error.position is None:
            raise
        return {}
    if not isinstance(content, dict):
        return {}
    return {key[len(_PART) :]: x for key, x in content.items() if key.startswith(_PART)}
