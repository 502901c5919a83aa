"""Whether an adapter fits a UNet, and its layers in words."""

from __future__ import annotations

from collections.abc import Collection

from lib_instantstyle.pure.adapter_kind import AdapterKind
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.tensor.unet import UnetLayers


def check_adapter(name: str, kind: AdapterKind, layers: UnetLayers) -> None:
    """Raise InstantStyleError, saying why, if adapter `name` does not fit a UNet.

    An adapter may hold some of the layers only.
    """
    layout = kind.layout
    if layout is not None and layout is not layers.layout:
        raise InstantStyleError(
            f"adapter {name} is made for {layout.title}, the loaded checkpoint is "
            f"{layers.layout.title}; choose an adapter for {layers.layout.title}, or auto."
        )
    if kind.context_width != layers.context_width:
        raise InstantStyleError(
            f"adapter {name} has tokens of width {kind.context_width}, the loaded checkpoint "
            f"takes {layers.context_width}; it was made for another family of checkpoints."
        )
    unknown = [number for number in kind.layer_widths if number not in layers.layout.by_number]
    if unknown:
        last = max(layers.layout.by_number)
        raise InstantStyleError(
            f"adapter {name} holds a layer {unknown[0]}, which {layers.layout.title} does not "
            f"have; its layers have the odd numbers from 1 to {last}."
        )
    for number, found in layers.by_number.items():
        if kind.layer_widths.get(number, found.width) != found.width:
            raise InstantStyleError(
                f"adapter {name} has width {kind.layer_widths[number]} in "
                f"{found.layer.diffusers}, the loaded checkpoint {found.width}."
            )


def describe_layers(numbers: Collection[int], layers: UnetLayers) -> str:
    """Layers by block: "up_blocks.0.attentions.1, down_blocks.2.attentions.1 (3 of 10 layers)"."""
    parts = []
    for block in layers.layout.blocks:
        of_block = [n for n, found in layers.by_number.items() if found.layer.block is block]
        count = sum(1 for n in of_block if n in numbers)
        if count:
            some = "" if count == len(of_block) else f" ({count} of {len(of_block)} layers)"
            parts.append(block.diffusers + some)
    return ", ".join(parts) or "none of this checkpoint"
