"""Keys and values by the rows that they serve: several references, and what weights multiply.

The modes of `embeds_scaling` are those of ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from lib_instantstyle.units.choices import ADAIN, EACH
from lib_instantstyle.units.unit import Unit

Scaled = tuple[torch.Tensor, torch.Tensor, float]
"""Keys, values, and the factor of the attention's output."""

_FULL_WIDTH = 1280  # channels of the widest layers, where the C penalty is 1


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
