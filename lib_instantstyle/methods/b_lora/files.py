"""LoRA files: whether their layers fit a UNet, and the terms that they add to it.

A linear layer with weight W and a LoRA gives x W^T + amount (x down^T) up^T.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.json_text import UnreadableJson
from lib_instantstyle.files.model_file import read_errors, read_metadata
from lib_instantstyle.files.tensors import check_range, largest_of, open_tensors
from lib_instantstyle.methods.b_lora.layers import BLOCK_OF_HALF, Halves, scale_in_metadata
from lib_instantstyle.unet.layers import linear_layers, linear_shape
from lib_instantstyle.unet.plan import LoraTerm, When


def check_lora(halves: Halves, unet: nn.Module) -> list[str]:
    """Compare `halves` with `unet`; the paths of the layers that it lacks, as a pruned UNet may.

    Raises InstantStyleError, the end of a sentence, if shapes differ or no layer is there.
    """
    present = linear_layers(unet, BLOCK_OF_HALF.values())
    lacking = []
    for half, layers in halves.items():
        for layer in layers:
            name = BLOCK_OF_HALF[half].diffusers
            module = present.get((name, layer.path))
            if module is None:
                lacking.append(f"{name}.{layer.path}")
            elif (shape := linear_shape(module)) and shape != layer.shape:
                raise InstantStyleError(
                    f"was made for another UNet: its {name}.{layer.path} is {layer.shape[0]} x "
                    f"{layer.shape[1]}, the checkpoint's {shape[0]} x {shape[1]}"
                )
    if len(lacking) == sum(map(len, halves.values())):
        raise InstantStyleError("was made for another UNet: the checkpoint has none of its layers")
    return lacking


def read_terms(
    path: Path, halves: Halves, amounts: Mapping[str, float], when: When
) -> Sequence[LoraTerm]:
    """The terms of `halves`, whose tensors alone are read; amounts: factor of each half."""
    with read_errors(path):
        metadata = read_metadata(path)
    terms = []
    with open_tensors(path) as read:
        for half, layers in halves.items():
            block = BLOCK_OF_HALF[half]
            for layer in layers:
                if layer.alpha is None:
                    name = f"{block.diffusers}.{layer.path}"
                    scale = _scale(metadata, name, layer.rank, path)
                else:
                    scale = float(read(layer.alpha)) / layer.rank
                down, up = (read(name).flatten(1) for name in (layer.down, layer.up))
                amount = amounts[half] * scale
                ends = largest_of(down), largest_of(up)
                largest = max(ends)
                term = LoraTerm(block, layer.path, amount, down, up, when, largest, path.name)
                # An entry of the matrix that is added is at most the last of these.
                product = amount * layer.rank * ends[0] * ends[1]
                for number in (largest, abs(amount), abs(product)):
                    check_range(number, path.name)
                terms.append(term)
    return terms


def _scale(metadata: Mapping[str, str], layer: str, rank: int, path: Path) -> float:
    try:
        return scale_in_metadata(metadata, layer, rank)
    except UnreadableJson as error:
        raise InstantStyleError(f"{path.name} has metadata that cannot be read: {error}.") from None
