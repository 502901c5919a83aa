"""Which unit of a request works on self-attention, if one does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import Host
from lib_instantstyle.methods import STYLEID
from lib_instantstyle.methods.ip_adapter.checked import naming
from lib_instantstyle.methods.self_attention import (
    AttentionMethod,
    Generation,
    blocks_of,
    problems_of,
    takes_first_of_batch,
)
from lib_instantstyle.methods.shared_reference import SharedReference, shared_batch
from lib_instantstyle.methods.styleid import method
from lib_instantstyle.references.unit_pictures import references_of
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.units.field import SELF_ATTENTION
from lib_instantstyle.units.unit import Unit


def works_on_self_attention(unit: Unit) -> bool:
    """Whether `unit` asks for one of these methods."""
    return unit.declared.excludes == SELF_ATTENTION


def prepare_attention_method(
    units: Sequence[Unit], host: Host, p: Any, unet: torch.nn.Module
) -> AttentionMethod | None:
    """The method of the one unit on self-attention; None where there is none.

    Raises InstantStyleError if it cannot be had.
    """
    chosen = list(filter(works_on_self_attention, units))
    if not chosen:
        return None
    unit = chosen[0]
    with naming(unit):
        blocks_of(unit, find_layers(unet).layout)
        for problem in problems(units, p, unet):
            raise InstantStyleError(problem)
        if takes_first_of_batch(unit):
            return shared_batch(unit, p)
        picture = references_of(unit, host)[0]
    if unit.method == STYLEID.name:
        return method.StyleID(unit, picture, tuple(method.remarks(unit, p)))
    return SharedReference(unit, picture, ())


def problems(units: Sequence[Unit], p: Generation, unet: torch.nn.Module | None) -> Iterator[str]:
    """Why the first of `units` that works on self-attention cannot be had, its blocks aside.

    unet: None where it is not in memory.
    """
    chosen = list(filter(works_on_self_attention, units))
    for unit in chosen[1:]:
        yield (
            f"unit {unit.number} works on self-attention too (its method is '{unit.method}'); one "
            "such unit is allowed."
        )
    for unit in chosen[:1]:
        yield from problems_of(unit, p, unet)
        if unit.method == STYLEID.name:
            yield from method.problems_of(unit, p)
