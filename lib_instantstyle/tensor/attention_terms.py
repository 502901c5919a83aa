"""From keys and values to the terms of a plan: weights, several references, negated blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lib_instantstyle.pure.choices import EACH
from lib_instantstyle.pure.layers import Layer
from lib_instantstyle.pure.presets import BlockWeight
from lib_instantstyle.pure.units import Unit
from lib_instantstyle.tensor.masks import Mask
from lib_instantstyle.tensor.plan import AttentionTerm, When
from lib_instantstyle.tensor.scaling import scale


def when_of(unit: Unit) -> When:
    """The part of the sampling in which `unit` acts."""
    return When(unit.start, unit.end, unit.time_curve, unit.hires_pass)


def attention_term(
    layer: Layer,
    block_weight: BlockWeight,
    bank: tuple[torch.Tensor, torch.Tensor],
    unit: Unit,
    weights: Sequence[float],
    mask: Mask | None = None,
) -> AttentionTerm:
    """What `unit` adds in one layer.

    bank: keys and values, each [n + 1, T, h], of n references and, last, of what negative-prompt
    rows get.
    weights: of the n references; they scale what each adds. Several references lie side by side
    in one softmax ("concat"), or each serves its own image of the batch ("each").
    """
    key, value = bank
    value_scale = value.new_tensor([*weights, unit.negative_weight])
    value = value * value_scale[:, None, None]
    prompt, negative = (key[:-1], value[:-1]), (key[-1:], value[-1:])
    if unit.combine != EACH:
        count, _, width = prompt[0].shape
        prompt = (prompt[0].reshape(1, -1, width), prompt[1].reshape(1, -1, width))
        # As many tokens as the prompt's; repeated, they give the same attention as once.
        negative = (negative[0].repeat(1, count, 1), negative[1].repeat(1, count, 1))
    if block_weight.negated:
        # A value of zero adds nothing, whatever the key.
        negative = (prompt[0], prompt[1] * unit.negative_weight)
        prompt = (prompt[0], torch.zeros_like(prompt[1]))
    factor = 1.0
    banks = []
    for keys_and_values in (prompt, negative):
        *pair, factor = scale(unit.embeds_scaling, *keys_and_values, block_weight.weight)
        banks.append(pair)
    prompts, negatives = len(prompt[0]), len(negative[0])
    return AttentionTerm(
        layer,
        weight=factor,
        key=torch.cat([keys for keys, _ in banks]),
        value=torch.cat([values for _, values in banks]),
        when=when_of(unit),
        rows=(tuple(range(prompts)), tuple(range(prompts, prompts + negatives))),
        mask=mask,
        unit=unit.number,
        target=unit.auto_weight * (abs(unit.weight) or 1.0),
    )
