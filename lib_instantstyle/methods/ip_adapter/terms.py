"""From keys and values to the terms of a plan: weights, negated blocks, and what `purify` needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from lib_instantstyle.files.tensors import largest_of
from lib_instantstyle.layout import Layer
from lib_instantstyle.methods.ip_adapter.purify import purified, singular_values
from lib_instantstyle.methods.ip_adapter.served_rows import rows_of, scale
from lib_instantstyle.unet.masks import Mask
from lib_instantstyle.unet.plan import AttentionTerm, when_of
from lib_instantstyle.units.choices import ADD
from lib_instantstyle.units.presets import BlockWeight
from lib_instantstyle.units.unit import Unit


def attention_term(
    layer: Layer,
    block_weight: BlockWeight,
    bank: tuple[torch.Tensor, torch.Tensor],
    unit: Unit,
    weights: Sequence[float],
    mask: Mask | None = None,
) -> AttentionTerm:
    """The term of `unit` in one layer.

    bank: keys and values, each [n + 1, T, h], of n references and of negative-prompt rows; or
    [2 n + 1, T, h], with what was taken out of each reference last, from which attention guidance
    then moves away. weights: of the n references. Several references share one softmax ("concat"),
    or each is for its own image of the batch ("each"). `purify` acts on what several references
    have become, before `embeds_scaling`, and on the tokens of a negated block as on any.
    """
    prompt, negative, removed, common = rows_of(unit, bank, weights)
    reference = (prompt.key, prompt.value, common)
    if block_weight.negated:
        negative, prompt, removed = prompt.weighted(unit.negative_weight), prompt.without(), None
    serving = [each for each in (prompt, negative, removed) if each is not None]
    scaled, factor = [], 1.0
    for each in serving:
        *pair, factor = each.scaled(unit, block_weight.weight)
        scaled.append(pair)
    keys, values = (torch.cat(parts) for parts in zip(*scaled))
    rows, count = [], 0
    for each in serving:
        rows.append(tuple(range(count, count + len(each.key))))
        count += len(each.key)
    fused = tuple(share for each in serving for share in each.shares or ())
    term = AttentionTerm(
        layer,
        weight=factor,
        key=keys,
        value=values,
        when=when_of(unit),
        rows=(rows[0], rows[1]),
        mask=mask,
        unit=unit.number,
        target=unit.auto_weight * (abs(unit.weight) or 1.0),
        largest=largest_of(keys, values, values * factor),
        guidance=unit.attention_guidance,
        away=rows[-1] if unit.attention_guidance else (),
        only_at_cfg_1=block_weight.negated,
        fused=fused,
    )
    if not (unit.purify or unit.report) or not math.isfinite(term.largest):
        return term  # the caller refuses numbers that are none
    first = rows[1][0] if block_weight.negated else 0
    return _with_singular_values(term, block_weight, unit, reference, first)


def _with_singular_values(
    term: AttentionTerm,
    block_weight: BlockWeight,
    unit: Unit,
    reference: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    first: int,
) -> AttentionTerm:
    """`term` with what `purify` and `report` need.

    reference: keys and values [P, T, h], and what is in the values because of weights (see
    `purified`). first: the row of the bank where they stand.
    """
    key, value, common = reference
    if unit.report and term.layer.depth_index == 0:
        own = value[0] / torch.where(common[0] == 0, 1, common[0])
        term = replace(term, singular_values=(singular_values(key[0]), singular_values(own)))
    found = purified(unit, key, value, common) if unit.purify else None
    if found is None:
        return term
    left_key, left_value = found.left
    factor = block_weight.weight
    if unit.fusion == ADD:
        if first:
            left_value = left_value * unit.negative_weight
        mode = unit.embeds_scaling
        left_key, left_value, factor = scale(mode, left_key, left_value, factor, key.shape[-1])
    found = replace(found, left=torch.stack([left_key, left_value]), first=first)
    return replace(term, purify=found, largest=max(term.largest, found.largest(factor)))
