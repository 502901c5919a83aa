"""From keys and values to the terms of a plan: weights, several references, negated blocks.

The modes of `embeds_scaling` are those of ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from lib_instantstyle.files.tensors import largest_of
from lib_instantstyle.layout import Layer
from lib_instantstyle.methods.ip_adapter.purify import purified, singular_values
from lib_instantstyle.unet.masks import Mask
from lib_instantstyle.unet.plan import AttentionTerm, when_of
from lib_instantstyle.units.choices import EACH
from lib_instantstyle.units.presets import BlockWeight
from lib_instantstyle.units.unit import Unit

Scaled = tuple[torch.Tensor, torch.Tensor, float]
"""Keys, values, and the factor of the attention's output."""

_FULL_WIDTH = 1280  # channels of the widest layers, where the C penalty is 1


def attention_term(
    layer: Layer,
    block_weight: BlockWeight,
    bank: tuple[torch.Tensor, torch.Tensor],
    unit: Unit,
    weights: Sequence[float],
    mask: Mask | None = None,
) -> AttentionTerm:
    """The term of `unit` in one layer.

    bank: keys and values, each [n + 1, T, h], of n references and, last, of negative-prompt rows.
    weights: of the n references; each multiplies the values of its reference. Several references
    share one softmax ("concat"), or each is for its own image of the batch ("each"). The weight of
    an image's only reference is a share of the unit's weight: it multiplies the values of
    negative-prompt rows, too. `purify` acts on what several references have become, before
    `embeds_scaling`, and on the tokens of a negated block as on any.
    """
    key, value = bank
    count, width = len(weights), key.shape[-1]
    shares = value.new_tensor(weights)[:, None, None]
    prompt = (key[:-1], value[:-1] * shares)
    negative = (key[-1:].expand(count, -1, -1), value[-1:].expand(count, -1, -1))
    negative = (negative[0], negative[1] * unit.negative_weight)
    if count == 1 or unit.combine == EACH:
        negative = (negative[0], negative[1] * shares)
    if unit.combine != EACH:  # as many negative tokens as the prompt's
        prompt = (prompt[0].reshape(1, -1, width), prompt[1].reshape(1, -1, width))
        negative = (negative[0].reshape(1, -1, width), negative[1].reshape(1, -1, width))
    reference = prompt
    if block_weight.negated:
        # A value of zero adds nothing, whatever the key.
        negative = (prompt[0], prompt[1] * unit.negative_weight)
        prompt = (prompt[0], torch.zeros_like(prompt[1]))
    factor = 1.0
    banks = []
    for keys, values in (prompt, negative):
        *pair, factor = scale(unit.embeds_scaling, keys, values, block_weight.weight)
        banks.append(pair)
    prompts, negatives = len(prompt[0]), len(negative[0])
    keys, values = (torch.cat(parts) for parts in zip(*banks))
    term = AttentionTerm(
        layer,
        weight=factor,
        key=keys,
        value=values,
        when=when_of(unit),
        rows=(tuple(range(prompts)), tuple(range(prompts, prompts + negatives))),
        mask=mask,
        unit=unit.number,
        target=unit.auto_weight * (abs(unit.weight) or 1.0),
        largest=largest_of(keys, values, values * factor),
    )
    if not (unit.purify or unit.report) or not math.isfinite(term.largest):
        return term  # the caller refuses numbers that are none
    common = shares.abs().amax(dim=0) if len(prompt[0]) == 1 else shares[:, :, 0]
    first = prompts if block_weight.negated else 0
    return _with_singular_values(term, block_weight, unit, (*reference, common), first)


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
    if first:
        left_value = left_value * unit.negative_weight
    mode, weight = unit.embeds_scaling, block_weight.weight
    left_key, left_value, factor = scale(mode, left_key, left_value, weight, key.shape[-1])
    found = replace(found, left=torch.stack([left_key, left_value]), first=first)
    return replace(term, purify=found, largest=max(term.largest, found.largest(factor)))


def scale(
    mode: str, key: torch.Tensor, value: torch.Tensor, weight: float, width: int | None = None
) -> Scaled:
    """`key` and `value` scaled by `weight`, and the factor of the attention's output.

    key, value: [..., T, h], heads side by side, so that h is the layer's number of channels C.
    width: C, where `key` and `value` are only the left factors [..., T, r] of such matrices: what
    is done here is done to the tokens, and not to the channels.

    - "V only": K, V, weight; the other modes give the factor 1;
    - "K+V": weight K, weight V; a larger weight also sharpens the attention;
    - "K+V w/ C penalty": the same with w = weight C / 1280, weaker in narrow layers;
    - "K+mean(V) w/ C penalty": w K, and V with only its mean over the tokens multiplied by w.

    A caller leaves out terms of weight 0: in the last mode the differences of the tokens from
    their mean would remain. Raises KeyError for an unknown mode.
    """
    return SCALE_FUNCTIONS[mode](key, value, weight, width or key.shape[-1])


def _penalised(weight: float, width: int) -> float:
    return weight * width / _FULL_WIDTH


def _both(key: torch.Tensor, value: torch.Tensor, weight: float) -> Scaled:
    return key * weight, value * weight, 1.0


def _mean_of_value(key: torch.Tensor, value: torch.Tensor, weight: float) -> Scaled:
    mean = value.mean(dim=-2, keepdim=True)
    return key * weight, value + mean * (weight - 1), 1.0


SCALE_FUNCTIONS: Mapping[str, Callable[[torch.Tensor, torch.Tensor, float, int], Scaled]] = {
    "V only": lambda key, value, weight, width: (key, value, weight),
    "K+V": lambda key, value, weight, width: _both(key, value, weight),
    "K+V w/ C penalty": lambda key, value, weight, width: _both(
        key, value, _penalised(weight, width)
    ),
    "K+mean(V) w/ C penalty": lambda key, value, weight, width: _mean_of_value(
        key, value, _penalised(weight, width)
    ),
}
