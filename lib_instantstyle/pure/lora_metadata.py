"""The alpha that diffusers writes beside a LoRA's tensors, in the file's metadata.

peft's files have no tensor for it. Source: diffusers, loaders/lora_base.py (LoraBaseMixin); peft,
utils/other.py (get_pattern_key).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

_KEY, _PART = "lora_adapter_metadata", "unet."


def scale_in_metadata(metadata: Mapping[str, str], layer: str, rank: int) -> float:
    """What the product of the factors of `layer` (its diffusers name) is multiplied by.

    alpha / rank, or alpha / sqrt(rank) where rank-stabilised; 1 where the metadata says nothing.
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
        content = json.loads(metadata.get(_KEY, "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key[len(_PART) :]: x for key, x in content.items() if key.startswith(_PART)}
