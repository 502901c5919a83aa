"""From keys and values to the terms of a plan: weights, several references, negated blocks.

The modes of `embeds_scaling` are those of ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from lib_instantstyle.files.tensors import largest_of
from lib_instantstyle.layout import Layer
from lib_instantstyle.methods.ip_adapter.purify import purified, singular_values
from lib_instantstyle.unet.masks import Mask
from lib_instantstyle.unet.plan import AttentionTerm, when_of
from lib_instantstyle.units.choices import ADAIN, ADD, EACH
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


class ServedRows(NamedTuple):
    """Keys and values [P, T, h] that serve some rows of a UNet call.

    shares: None where the image is added to the text and weights multiply the values. Otherwise,
    for each of the P, the share with which it is fused with the text: a weighted value would be
    another style, not less of it.
    """

    key: torch.Tensor
    value: torch.Tensor
    shares: tuple[float, ...] | None = None

    def weighted(self, *weights: float) -> ServedRows:
        """With one weight for all of the P, or one for each."""
        if self.shares is not None:
            by_row = weights * len(self.shares) if len(weights) == 1 else weights
            return self._replace(shares=tuple(s * w for s, w in zip(self.shares, by_row)))
        if len(weights) == 1:
            return self._replace(value=self.value * weights[0])
        return self._replace(value=self.value * self.value.new_tensor(weights)[:, None, None])

    def without(self) -> ServedRows:
        """The same, doing nothing: a value of zero adds nothing, whatever the key."""
        if self.shares is None:
            return self._replace(value=torch.zeros_like(self.value))
        return self.weighted(0.0)

    def side_by_side(self) -> ServedRows:
        """All P in one softmax."""
        width = self.key.shape[-1]
        key, value = (each.reshape(1, -1, width) for each in (self.key, self.value))
        return ServedRows(key, value, self.shares and self.shares[:1])

    def scaled(self, unit: Unit, weight: float) -> Scaled:
        """See `scale`; fusion knows "V only"."""
        if self.shares is None:
            return scale(unit.embeds_scaling, self.key, self.value, weight)
        return self.key, self.value, weight


def rows_of(
    unit: Unit, bank: tuple[torch.Tensor, torch.Tensor], weights: Sequence[float]
) -> tuple[ServedRows, ServedRows, ServedRows | None, torch.Tensor]:
    """What serves prompt rows and negative rows, what is avoided, and `common` of `purified`.

    The weight of an image's only reference is a share of the unit's weight: it counts in the
    negative rows, too.
    """
    count, (key, value) = len(weights), bank
    alone = count == 1 or unit.combine == EACH
    shares: tuple[float, ...] | None = None
    inside: tuple[float, ...] = tuple(weights)
    whole: tuple[float, ...] = (1.0,)
    if unit.fusion == ADAIN:
        shares = (1.0,) * count
        if alone:
            inside, whole = shares, tuple(weights)
        else:  # in one softmax: only their proportion is the values'
            largest = max(map(abs, weights)) or 1.0
            inside, whole = tuple(weight / largest for weight in weights), (largest,)
    factors = value.new_tensor(inside)[:, None, None]
    prompt = ServedRows(key[:count], value[:count] * factors, shares)
    removed = None
    if len(key) > count + 1:
        removed = ServedRows(key[count + 1 :], value[count + 1 :] * factors, shares)
    last = (each[count, None].expand(count, -1, -1) for each in bank)
    negative = ServedRows(next(last), next(last), shares).weighted(unit.negative_weight)
    if alone:
        negative = negative.weighted(*weights)
    if unit.combine != EACH:  # as many negative tokens as the prompt's
        prompt, negative = prompt.side_by_side(), negative.side_by_side()
        removed = removed and removed.side_by_side()
    if shares is not None:
        prompt, removed = prompt.weighted(*whole), removed and removed.weighted(*whole)
    common = factors.abs().amax(dim=0) if unit.combine != EACH else factors[:, :, 0]
    return prompt, negative, removed, common


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
