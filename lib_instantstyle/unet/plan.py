"""The injection plan: plain data that says what is added where, and when.

A plan holds no module and runs nothing, so it can be printed and tested without a UNet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from lib_instantstyle.layout import Block, Layer
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.masks import Box, Mask
from lib_instantstyle.unet.progress import acting_steps, strength
from lib_instantstyle.unet.purify import Purify
from lib_instantstyle.unet.rows import image_of, kind_of
from lib_instantstyle.units.choices import BASE, BOTH, HIRES
from lib_instantstyle.units.presets import PRESETS, BlockWeight
from lib_instantstyle.units.unit import Unit


@dataclass(frozen=True)
class When:
    """The part of the sampling in which a term acts."""

    start: float = 0.0
    end: float = 1.0
    curve: str = "constant"
    hires_pass: str = BOTH  # of hires fix: both, base or hires

    def strength(self, fraction: float, steps: int) -> float:
        """The share, 0 to 1, of its weight that a term has in the step beginning at `fraction`."""
        return strength(self.curve, self.start, self.end, fraction, steps)

    def acting_steps(self, steps: int) -> list[int]:
        """The steps (0-based) of a pass of `steps` steps in which the strength is not zero."""
        within = acting_steps(self.start, self.end, steps)
        return [step for step in within if self.strength(step / steps, steps)]


@dataclass(frozen=True)
class AttentionTerm:
    """One unit's image attention in one layer.

    key, value: [R, T, h]. rows: which of the R serve prompt rows, and which negative-prompt rows;
    one for all images of the batch, or one for each, going round. source: the file that the numbers
    come from, for sentences. purify: what takes the place of some rows of key and value in early
    steps. singular_values: of the reference's keys and of its values, where a report has them.
    guidance: phi (see unet/fusion.py); 0: none. away: the rows of key and value that prompt rows
    are guided away from, one for all images of the batch or one for each. only_at_cfg_1: guidance
    is left out where negative-prompt rows have the same effect. fused: by row of key and value, the
    share of `weight` with which text and image are fused (see unet/fusion.py); empty: the image is
    added to the text.
    """

    layer: Layer
    weight: float
    key: torch.Tensor
    value: torch.Tensor
    when: When = When()
    rows: tuple[tuple[int, ...], tuple[int, ...]] = ((0,), (1,))
    mask: Mask | None = None
    unit: int = 1
    target: float = 0.0  # share of the text's attention that the unit is brought to; 0: as it is
    largest: float = 0.0  # number in key and value, and in what the weight makes of the value
    source: str = ""
    purify: Purify | None = None
    singular_values: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    guidance: float = 0.0
    away: tuple[int, ...] = ()
    only_at_cfg_1: bool = False
    fused: tuple[float, ...] = ()

    def row(self, code: int) -> int:
        """The row of key and value that serves a UNet row of kind and image `code`."""
        serving = self.rows[kind_of(code)]
        return serving[image_of(code) % len(serving)]

    def row_to_avoid(self, code: int) -> int:
        """The row of key and value that a prompt row of kind and image `code` is guided from."""
        return self.away[image_of(code) % len(self.away)]


@dataclass(frozen=True)
class LoraTerm:
    """What a LoRA adds to the output of one linear layer with input x: amount (x down^T) up^T.

    down: [r, in]; up: [out, r]. All rows of a UNet call get it, as from a changed weight. source:
    the file that the numbers come from, for sentences.
    """

    block: Block
    path: str  # of the layer in its block
    amount: float
    down: torch.Tensor
    up: torch.Tensor
    when: When = When()
    largest: float = 0.0  # number in down and up
    source: str = ""
    unit: int = 1


@dataclass(frozen=True)
class Plan:
    """All terms of a generation.

    spares_first: the first picture of each batch gets none of them.
    """

    terms: tuple[AttentionTerm, ...]
    loras: tuple[LoraTerm, ...] = ()
    spares_first: bool = False

    @classmethod
    def of(cls, plans: Iterable[Plan]) -> Plan:
        """All of `plans` together."""
        terms: list[AttentionTerm] = []
        loras: list[LoraTerm] = []
        spares_first = False
        for plan in plans:
            terms += plan.terms
            loras += plan.loras
            spares_first = spares_first or plan.spares_first
        return cls(tuple(terms), tuple(loras), spares_first)

    @property
    def is_empty(self) -> bool:
        """True where nothing is added."""
        return not self.terms and not self.loras

    def in_pass(self, hires: bool, cfg_scale: float | None = None) -> Plan:
        """What acts in hires fix's second pass, or in the first, at that CFG scale."""
        left_out = BASE if hires else HIRES
        terms = [term for term in self.terms if term.when.hires_pass != left_out]
        if cfg_scale != 1:
            terms = [replace(term, away=()) if term.only_at_cfg_1 else term for term in terms]
        return Plan(
            tuple(terms),
            tuple(term for term in self.loras if term.when.hires_pass != left_out),
            self.spares_first,
        )

    def within(self, box: Box) -> Plan:
        """The plan for a part of the picture: its masks show what is in `box`."""
        cropped = {id(term.mask): term.mask.within(box) for term in self.terms if term.mask}
        terms = tuple(
            replace(term, mask=cropped[id(term.mask)]) if term.mask else term for term in self.terms
        )
        return replace(self, terms=terms)

    def strengths(self, fraction: float, steps: int) -> dict[When, float]:
        """Those times of the plan that act in the step beginning at `fraction`."""
        return {when: s for when in self._whens if (s := when.strength(fraction, steps))}

    def acting_units(self, steps: int) -> set[int]:
        """The units of which a term acts in some step of a pass of `steps` steps."""
        whens = {when for when in self._whens if when.acting_steps(steps)}
        return {term.unit for term in self.terms if term.when in whens} | {
            term.unit for term in self.loras if term.when in whens
        }

    @cached_property
    def _whens(self) -> frozenset[When]:
        whens = (*(term.when for term in self.terms), *(term.when for term in self.loras))
        return frozenset(whens)

    @property
    def targets(self) -> dict[int, float]:
        """The shares that units are brought to, by unit; those without one are left out."""
        return {term.unit: term.target for term in self.terms if term.target}

    @property
    def purifies(self) -> list[Purify]:
        """What damps keys and values of terms."""
        return [term.purify for term in self.terms if term.purify is not None]

    @property
    def tells_images_apart(self) -> bool:
        """Whether images of a batch get different tokens."""
        several = any(len(rows) > 1 for term in self.terms for rows in term.rows)
        return self.spares_first or several

    def __str__(self) -> str:
        return "\n".join(
            f"{term.layer.diffusers} weight {term.weight:g} "
            f"from {term.when.start:g} to {term.when.end:g} tokens {term.key.shape[1]}"
            for term in self.terms
        )


def when_of(unit: Unit) -> When:
    """The part of the sampling in which `unit` acts."""
    return When(unit.start, unit.end, unit.time_curve, unit.hires_pass)


def layer_weights(unit: Unit, layers: UnetLayers) -> dict[int, BlockWeight]:
    """What each layer gets of `unit`, by adapter number N; layers that get nothing are left out.

    Raises InstantStyleError where own block weights or the preset do not fit the UNet's layout.
    """
    chosen = unit.blocks if unit.differs("blocks") else PRESETS[unit.preset]
    block_weights = chosen.block_weights(layers.layout, unit.weight, unit.layout_weight, unit.boost)
    return {
        number: block_weights[found.layer.block.index]
        for number, found in layers.by_number.items()
        if found.layer.block.index in block_weights
    }
