"""Colours of latents: their statistics, the move from some to others, and when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WINDOW = (0.2, 0.6)  # shares of the sampling
_SMALL = 1e-6  # tells a step from the next one, and a mask from nothing


@dataclass(frozen=True)
class Colours:
    """Mean [B, C] and covariance [B, C, C] of latents over their cells, in float64 on the CPU."""

    mean: Tensor
    covariance: Tensor


def colours(latents: Tensor, weights: Tensor | None = None) -> Colours:
    """Of latents [B, C, h, w]; the covariance is the unbiased one. weights: [1 or B, 1, h, w] from
    0 to 1, of the cells; None for all alike."""
    values = _exact(latents).flatten(2)
    shares = torch.ones_like(values[:, :1]) if weights is None else _exact(weights).flatten(2)
    total = shares.sum(2)
    mean = (values * shares).sum(2) / total
    apart = values - mean[:, :, None]
    degrees = (total - shares.square().sum(2) / total).clamp_min(_SMALL)
    covariance = (apart * shares) @ apart.transpose(1, 2) / degrees[:, :, None]
    return Colours(mean.double().cpu(), covariance.double().cpu())


def pooled(parts: Sequence[Colours], weights: Sequence[float]) -> Colours:
    """The colours of several pictures together, each with a weight."""
    shares = torch.tensor(weights, dtype=torch.float64).abs()
    shares = (shares / shares.sum())[:, None, None]
    means = torch.cat([part.mean for part in parts])[:, :, None]
    mean = (shares * means).sum(0, keepdim=True)
    apart = means - mean
    within = torch.cat([part.covariance for part in parts])
    covariance = (shares * (within + apart @ apart.transpose(1, 2))).sum(0, keepdim=True)
    return Colours(mean[:, :, 0], covariance)


def recoloured(latents: Tensor, wanted: Colours, weights: Tensor | None = None) -> Tensor:
    """Latents [B, C, h, w] with the colours `wanted`: M (x - m) + m', M = C'^(1/2) (C + I)^(-1/2).

    The mean becomes the wanted one; the covariance M C M, because of the identity less than the
    wanted one. weights: of the cells that C and m are taken of; see `colours`.
    """
    own = colours(latents, weights)
    identity = torch.eye(own.mean.shape[1], dtype=torch.float64)
    turn = _power(wanted.covariance, 0.5) @ _power(own.covariance + identity, -0.5)
    shift = wanted.mean - (turn @ own.mean[:, :, None])[:, :, 0]
    values = latents.flatten(2)
    turn, shift = turn.to(values), shift.to(values)
    found = turn.expand(len(values), -1, -1) @ values + shift[:, :, None]
    return found.reshape(latents.shape)


def _power(matrices: Tensor, exponent: float) -> Tensor:
    """A power of symmetric matrices [B, C, C] without negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrices)
    powers: Tensor = values.clamp_min(0) ** exponent
    found: Tensor = (vectors * powers[:, None]) @ vectors.transpose(1, 2)
    return found


def _exact(latents: Tensor) -> Tensor:
    """In float64 where the device has it cheaply."""
    return latents.double() if latents.device.type == "cpu" else latents.float()


class Window:
    """Tells the evaluations of one pass in which the palette acts: those of at least one step."""

    def __init__(self, steps: int) -> None:
        self._steps = max(steps, 1)
        self._begin = min(WINDOW[0], 1 - 1 / self._steps)  # the last step, if there are too few
        self._once: float | None = None
        self.acted: list[int] = []  # steps, from 1

    def holds(self, fraction: float) -> bool:
        """Whether to act in an evaluation before which `fraction` of the pass was completed.

        Where no evaluation falls into the window (few steps, an adaptive sampler), those of the
        first step behind it count.
        """
        if fraction < self._begin - _SMALL:
            return False
        if fraction > WINDOW[1] - _SMALL:
            if self.acted and fraction != self._once:
                return False
            self._once = fraction
        step = min(int(fraction * self._steps + _SMALL), self._steps - 1) + 1
        if step not in self.acted:
            self.acted.append(step)
        return True


def steps_in_window(steps: int) -> list[int]:
    """The steps, from 1, in which a pass of `steps` steps moves the colours."""
    window = Window(steps)
    for step in range(steps):
        window.holds(step / steps)
    return window.acted


def in_words(steps: Sequence[int], total: int) -> str:
    """Such as "5 to 12 of 20"."""
    several = f"{steps[0]} to {steps[-1]}" if len(steps) > 1 else f"{steps[0]}"
    return f"{several} of {total}"
