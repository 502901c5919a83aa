"""From keys and values to the terms of a plan: weights, several references, negated blocks.

The modes of `embeds_scaling` are those of ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from lib_instantstyle.files.tensors import largest_of
from lib_instantstyle.layout import Layer
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
    negative-prompt rows, too.
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
    return AttentionTerm(
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


def scale(mode: str, key: torch.Tensor, value: torch.Tensor, weight: float) -> Scaled:
    """`key` and `value` scaled by `weight`, and the factor of the attention's output.

    key, value: [..., T, h], heads side by side, so that h is the layer's number of channels C.

    - "V only": K, V, weight; the other modes give the factor 1;
    - "K+V": weight K, weight V; a larger weight also sharpens the attention;
    - "K+V w/ C penalty": the same with w = weight C / 1280, weaker in narrow layers;
    - "K+mean(V) w/ C penalty": w K, and V with only its mean over the tokens multiplied by w.

    A caller leaves out terms of weight 0: in the last mode the differences of the tokens from
    their mean would remain. Raises KeyError for an unknown mode.
    """
    return SCALE_FUNCTIONS[mode](key, value, weight)


def _penalised(key: torch.Tensor, weight: float) -> float:
    return weight * key.shape[-1] / _FULL_WIDTH


def _both(key: torch.Tensor, value: torch.Tensor, weight: float) -> Scaled:
    return key * weight, value * weight, 1.0


def _mean_of_value(key: torch.Tensor, value: torch.Tensor, weight: float) -> Scaled:
    mean = value.mean(dim=-2, keepdim=True)
    return key * weight, value + mean * (weight - 1), 1.0


SCALE_FUNCTIONS: Mapping[str, Callable[[torch.Tensor, torch.Tensor, float], Scaled]] = {
    "V only": lambda key, value, weight: (key, value, weight),
    "K+V": _both,
    "K+V w/ C penalty": lambda key, value, weight: _both(key, value, _penalised(key, weight)),
    "K+mean(V) w/ C penalty": lambda key, value, weight: _mean_of_value(
        key, value, _penalised(key, weight)
    ),
}
