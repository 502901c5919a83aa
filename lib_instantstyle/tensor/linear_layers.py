"""The size of a linear layer, whichever class a WebUI has put in its place."""

from __future__ import annotations

from typing import Any


def linear_shape(layer: Any) -> tuple[int, int] | None:
    """(numbers out, numbers in) of `layer`; None if it is no linear layer.

    Forge's layers in 4 bits and of GGUF files have no `in_features`: there the weight says it, and
    bitsandbytes keeps the shape aside, because it packs the numbers.
    """
    if hasattr(layer, "in_features") and hasattr(layer, "out_features"):
        return int(layer.out_features), int(layer.in_features)
    weight = getattr(layer, "weight", None)
    shape = tuple(getattr(getattr(weight, "quant_state", None) or weight, "shape", ()))
    return (int(shape[0]), int(shape[1])) if len(shape) == 2 else None
