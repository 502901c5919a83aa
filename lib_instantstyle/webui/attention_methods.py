"""Which unit of a request works on self-attention, if one does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lib_instantstyle.hosts import Host
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.units import ON_SELF_ATTENTION, STYLEID, Unit
from lib_instantstyle.webui import styleid
from lib_instantstyle.webui.attention_method import (
    AttentionMethod,
    check_method,
    takes_first_of_batch,
)
from lib_instantstyle.webui.checking import naming
from lib_instantstyle.webui.shared_reference import SharedReference, shared_batch
from lib_instantstyle.webui.unit_pictures import references_of


def prepare_attention_method(
    units: Sequence[Unit], host: Host, p: Any, unet: torch.nn.Module
) -> AttentionMethod | None:
    """The method of the one unit on self-attention; None where there is none.

    Raises InstantStyleError if it cannot be had.
    """
    chosen = [unit for unit in units if unit.method in ON_SELF_ATTENTION]
    if not chosen:
        return None
    unit = chosen[0]
    with naming(unit):
        if len(chosen) > 1:
            raise InstantStyleError(
                f"unit {chosen[1].number} works on self-attention too (its method is "
                f"'{chosen[1].method}'); one such unit is allowed."
            )
        check_method(unit, p, unet)
        if unit.method == STYLEID:
            styleid.check(unit, p)
        if takes_first_of_batch(unit):
            return shared_batch(unit, p)
        picture = references_of(unit, host)[0]
    if unit.method == STYLEID:
        return styleid.StyleID(unit, picture, tuple(styleid.remarks(unit, p)))
    return SharedReference(unit, picture, ())
