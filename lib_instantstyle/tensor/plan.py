"""The injection plan: plain data that says what is added where, and when.

A plan holds no module and runs nothing, so it can be printed and tested without a UNet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch

from lib_instantstyle.pure.adapter_kind import AdapterKind
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.layers import Layer
from lib_instantstyle.pure.presets import PRESETS
from lib_instantstyle.pure.schedule import acts
from lib_instantstyle.pure.units import Unit
from lib_instantstyle.tensor.unet import UnetLayers


@dataclass(frozen=True)
class Term:
    """One unit's image attention in one layer.

    key, value: [2, T, h]; row 0 for prompt rows, row 1 for negative-prompt rows.
    """

    layer: Layer
    weight: float
    key: torch.Tensor
    value: torch.Tensor
    start: float
    end: float


@dataclass(frozen=True)
class Plan:
    """All terms of a generation."""

    terms: tuple[Term, ...]

    def acts(self, fraction: float) -> bool:
        """Whether any term acts when `fraction` of a pass is completed."""
        return any(acts(term.start, term.end, fraction) for term in self.terms)

    def __str__(self) -> str:
        return "\n".join(
            f"{term.layer.diffusers} weight {term.weight:g} "
            f"from {term.start:g} to {term.end:g} tokens {term.key.shape[1]}"
            for term in self.terms
        )


def layer_weights(unit: Unit, unet: UnetLayers) -> dict[int, float]:
    """Weights by adapter number N of the layers in which `unit` acts; zeros are left out.

    Raises InstantStyleError where own block weights do not fit the UNet's layout.
    """
    if unit.blocks:
        vector: Mapping[int, float] = unit.blocks.vector(unet.layout)
    else:
        vector = PRESETS[unit.preset].vector(unet.layout)
    return {
        number: weight
        for number, found in unet.by_number.items()
        if (weight := unit.weight * vector.get(found.layer.block.index, 0.0))
    }


def check_fit(name: str, kind: AdapterKind, unet: UnetLayers) -> None:
    """Raise InstantStyleError, saying why, if adapter `name` does not fit the UNet.

    An adapter may hold some of the layers only.
    """
    layout = kind.layout
    if layout is not None and layout is not unet.layout:
        raise InstantStyleError(
            f"adapter {name} is made for {layout.title}, the loaded checkpoint is "
            f"{unet.layout.title}; choose an adapter for {unet.layout.title}, or auto."
        )
    if kind.context_width != unet.context_width:
        raise InstantStyleError(
            f"adapter {name} has tokens of width {kind.context_width}, the loaded checkpoint "
            f"takes {unet.context_width}; it was made for another family of checkpoints."
        )
    unknown = [number for number in kind.layer_widths if number not in unet.layout.by_number]
    if unknown:
        last = max(unet.layout.by_number)
        raise InstantStyleError(
            f"adapter {name} holds a layer {unknown[0]}, which {unet.layout.title} does not have; "
            f"its layers have the odd numbers from 1 to {last}."
        )
    for number, found in unet.by_number.items():
        if kind.layer_widths.get(number, found.width) != found.width:
            raise InstantStyleError(
                f"adapter {name} has width {kind.layer_widths[number]} in "
                f"{found.layer.diffusers}, the loaded checkpoint {found.width}."
            )


def describe_layers(numbers: Collection[int], unet: UnetLayers) -> str:
    """Layers by block: "up_blocks.0.attentions.1, down_blocks.2.attentions.1 (3 of 10 layers)"."""
    parts = []
    for block in unet.layout.blocks:
        of_block = [n for n, found in unet.by_number.items() if found.layer.block is block]
        count = sum(1 for n in of_block if n in numbers)
        if count:
            some = "" if count == len(of_block) else f" ({count} of {len(of_block)} layers)"
            parts.append(block.diffusers + some)
    return ", ".join(parts) or "none of this checkpoint"
