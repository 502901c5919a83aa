"""Colours of one reference and texture of another, by arithmetic on CLIP's features.

Source: SADis (NeurIPS 2025, arXiv 2503.14275), `ip_adapter/ip_adapter.py`, lines 497 to 630. What a
picture has beyond its grey copy is taken as its colours; the grey copy itself, damped together with
a flat picture of its mean grey, as its texture:

    a (H(colour) - H(grey(colour))) + b D(H(grey(texture)))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.references.views import (
    EncoderInput,
    flat_input,
    grey_input,
    reference_input,
)
from lib_instantstyle.units.choices import COLOUR, COLOUR_TEXTURE, TEXTURE
from lib_instantstyle.units.unit import Unit

_One = TypeVar("_One")


@dataclass(frozen=True)
class Sides:
    """Which of a unit's references gives colours and which texture, by number; None for none."""

    colour: int | None
    texture: int | None

    @property
    def count(self) -> int:
        """How many references it takes."""
        return sum(side is not None for side in (self.colour, self.texture))

    @property
    def inputs(self) -> int:
        """How many encoder inputs it takes."""
        return 2 * self.count


SIDES = {COLOUR_TEXTURE: Sides(0, 1), COLOUR: Sides(0, None), TEXTURE: Sides(None, 0)}


def stands_beside_style(unit: Unit) -> bool:
    """Whether a saved style gives one side and a picture the other one."""
    return bool(unit.style and unit.image and unit.combine == COLOUR_TEXTURE)


def check_sides(unit: Unit, count: int) -> None:
    """Raise InstantStyleError if `count` references are too few or too many for `combine`."""
    sides = SIDES.get(unit.combine)
    if sides is None or count == sides.count:
        return
    if stands_beside_style(unit):
        raise InstantStyleError(
            f"combine is '{unit.combine}', which takes one picture beside the style "
            f"{shorten(unit.style)}; {count - 1} came."
        )
    needs = "two references: the first gives the colours, the second the texture"
    if sides.count == 1:
        needs = f"one reference, which gives its {unit.combine} alone"
    raise InstantStyleError(f"combine is '{unit.combine}', which takes {needs}; {count} came.")


def inputs_of_sides(
    unit: Unit, pictures: Sequence[Picture], mask: Picture | None
) -> list[EncoderInput]:
    """The encoder inputs of `separated`, in its order. Raises InstantStyleError as check_sides."""
    check_sides(unit, len(pictures))
    return _inputs(SIDES[unit.combine], unit, pictures, mask)


def inputs_beside(
    kept: str, unit: Unit, picture: Picture, mask: Picture | None
) -> list[EncoderInput]:
    """The encoder inputs of the side that a style, saved with the combine `kept`, lacks."""
    other = TEXTURE if kept == COLOUR else COLOUR
    return _inputs(SIDES[other], unit, [picture], mask)


def beside(kept: str, of_style: Sequence[_One], of_picture: Sequence[_One]) -> list[_One]:
    """What a style and a picture give, in the order of `separated`: the colours first."""
    one, two = (of_style, of_picture) if kept == COLOUR else (of_picture, of_style)
    return [*one, *two]


def _inputs(
    sides: Sides, unit: Unit, pictures: Sequence[Picture], mask: Picture | None
) -> list[EncoderInput]:
    found = []
    if sides.colour is not None:
        picture = pictures[sides.colour]
        found += [reference_input(picture, unit, mask), grey_input(picture, unit, mask)]
    if sides.texture is not None:
        picture = pictures[sides.texture]
        found += [grey_input(picture, unit, mask), flat_input(picture, unit, mask)]
    return found


def separated(unit: Unit, features: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The features of the colours and of the texture, added: [E] or [N, W], as each of `features`.

    features: of `inputs_of_sides`. weights: of the references; each multiplies its side.
    """
    sides, rest = SIDES[unit.combine], list(features)
    found = torch.zeros_like(rest[0])
    if sides.colour is not None:
        coloured, grey, *rest = rest
        found = found + unit.colour_strength * weights[sides.colour] * (coloured - grey)
    if sides.texture is not None:
        grey, flat = rest
        strength = unit.texture_strength * weights[sides.texture]
        found = found + strength * damped(grey, flat, unit.texture_damping)
    return found


def damped(grey: Tensor, flat: Tensor, damping: float) -> Tensor:
    """The features `grey` after the singular values s of both together became s exp(-damping s).

    Tensors are [N, W] or [E]. The largest values, which a flat picture has too, lose most.
    """
    if not damping:
        return grey
    both = torch.cat([grey.reshape(-1, grey.shape[-1]), flat.reshape(-1, flat.shape[-1])]).double()
    # both = U S V, and U exp(-d S) S V = U exp(-d S) U' both: the small side's matrix is enough.
    squares, directions = torch.linalg.eigh(both @ both.T)
    factors = torch.exp(-damping * squares.clamp_min(0).sqrt())
    kept: Tensor = (directions * factors) @ (directions.T @ both)
    return kept[: len(both) // 2].reshape(grey.shape).to(grey)
