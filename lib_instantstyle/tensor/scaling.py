"""What a weight multiplies in image attention: its output, or its keys and values.

Source: the `embeds_scaling` of ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from lib_instantstyle.pure.errors import InstantStyleError, shorten

Scaled = tuple[torch.Tensor, torch.Tensor, float]

_FULL_WIDTH = 1280  # channels of the widest layers, where the C penalty is 1


def scale(mode: str, key: torch.Tensor, value: torch.Tensor, weight: float) -> Scaled:
    """Keys, values and the factor of the attention's output, for image attention of `weight`.

    key, value: [..., T, h], heads side by side, so that h is the layer's number of channels C.

    - "V only": K, V, weight; the other modes give the factor 1;
    - "K+V": weight K, weight V; a larger weight also sharpens the attention;
    - "K+V w/ C penalty": the same with w = weight C / 1280, weaker in narrow layers;
    - "K+mean(V) w/ C penalty": w K, and V with only its mean over the tokens multiplied by w.

    A weight of 0 is the caller's to leave out: with the last mode what differs between the tokens
    would stay. Raises InstantStyleError for an unknown mode.
    """
    if mode not in MODES:
        raise InstantStyleError(
            f"embeds_scaling is {shorten(mode)}; one of {', '.join(MODES)} is allowed."
        )
    return MODES[mode](key, value, weight)


def _penalised(key: torch.Tensor, weight: float) -> float:
    return weight * key.shape[-1] / _FULL_WIDTH


def _both(key: torch.Tensor, value: torch.Tensor, weight: float) -> Scaled:
    return key * weight, value * weight, 1.0


def _mean_of_value(key: torch.Tensor, value: torch.Tensor, weight: float) -> Scaled:
    mean = value.mean(dim=-2, keepdim=True)
    return key * weight, value + mean * (weight - 1), 1.0


MODES: Mapping[str, Callable[[torch.Tensor, torch.Tensor, float], Scaled]] = {
    "V only": lambda key, value, weight: (key, value, weight),
    "K+V": _both,
    "K+V w/ C penalty": lambda key, value, weight: _both(key, value, _penalised(key, weight)),
    "K+mean(V) w/ C penalty": lambda key, value, weight: _mean_of_value(
        key, value, _penalised(key, weight)
    ),
}
