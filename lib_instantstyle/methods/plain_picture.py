"""The picture without the style, followed beside the sampler, and its queries and keys.

See layout_lock.py. Nothing here knows a WebUI.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.self_attention import TO_K, TO_Q

LOCKED = (TO_Q, TO_K)
_ORDER = 4  # predictions that a sampler looks back on: LMS's
_NOISE = 1e-3  # share of a step that a sampler without noise leaves unexplained, at most
_SMALL = 1e-6  # tells a step from the next one


def is_locked(fraction: float, share: float) -> bool:
    """Whether a step that begins when `fraction` of the pass is completed belongs to `share`."""
    return fraction < share - _SMALL


def locked_steps(share: float, steps: int) -> int:
    """How many of the first steps of a pass begin before `share` of it is over."""
    return sum(1 for step in range(steps) if is_locked(step / steps, share))


class PlainPicture:
    """The latents that the sampler would have without the style, as a difference from its own.

    A sampler's latents x' at its next evaluation are r x + b0 D0 + b1 D1 + ..., where x are those
    at the last one, D what the model predicted in that and in those before, and all factors
    together are 1. The factors are read off the sampler's own step (see `step_taken`), and the
    difference of plain and styled latents takes the same step with the difference of what was
    predicted. Noise that the sampler added is in both.
    """

    def __init__(self) -> None:
        self._offset: Tensor | None = None  # plain less styled; None: the style has not acted yet
        self._state: Tensor | None = None  # the styled latents of the last evaluation
        self._styled: list[Tensor] = []  # D, the last one first
        self._apart: list[Tensor] = []  # D of the plain latents less D of the styled, likewise
        self._plain: Tensor | None = None  # D of the evaluation under way

    @property
    def has_begun(self) -> bool:
        """Whether plain and styled latents may differ."""
        return self._offset is not None

    def state_at(self, state: Tensor) -> Tensor:
        """The plain latents [B, 4, h, w] where the sampler evaluates the model at `state` now."""
        if self._offset is None or self._state is None:
            self._offset = torch.zeros_like(state)
        elif self._styled:
            of_state, *of_predicted = step_taken(self._state, self._styled, state)
            self._offset = of_state * self._offset
            for factor, apart in zip(of_predicted, self._apart):
                self._offset = self._offset + factor * apart
        self._state = state.clone()
        return state + self._offset

    def see_plain(self, predicted: Tensor) -> None:
        """Take what the model predicts for the plain latents."""
        self._plain = predicted

    def see_styled(self, predicted: Tensor) -> Tensor:
        """Take what the model predicts for the sampler's own latents; returns it unchanged."""
        assert self._plain is not None
        self._styled = [predicted.clone(), *self._styled][:_ORDER]
        self._apart = [self._plain - predicted, *self._apart][:_ORDER]
        return predicted


def step_taken(state: Tensor, predicted: Sequence[Tensor], after: Tensor) -> list[float]:
    """The factors, 1 together, with which a sampler made `after` of the latents `state` and of what
    the model `predicted`, the last one first: by least squares, [1 + len(predicted)].

    All have one shape. What does not come out is noise; then the earlier predictions are left out,
    because their factors could not be told from it.
    """
    newest, *earlier = (each.double().flatten().cpu() for each in predicted)
    wanted = after.double().flatten().cpu() - newest
    columns = torch.stack([state.double().flatten().cpu() - newest, *(e - newest for e in earlier)])
    if not (columns.isfinite().all() and wanted.isfinite().all()):
        return [1.0, *[0.0] * len(predicted)]  # the picture is lost: the WebUI says so, or is black
    lengths = columns.norm(dim=1).clamp_min(1e-12)
    columns = columns / lengths[:, None]
    found = torch.linalg.lstsq(columns.T, wanted[:, None], driver="gelsd").solution[:, 0]
    if (columns.T @ found - wanted).norm() > _NOISE * wanted.norm():
        found = torch.zeros_like(found)
        found[0] = columns[0] @ wanted
    of_state, *of_earlier = (found / lengths).tolist()
    return [of_state, 1 - of_state - sum(of_earlier), *of_earlier]


class KeptLayout:
    """Queries and keys of one evaluation of the plain picture, handed out in its order.

    The evaluation of the styled picture has the same rows in the same order, maybe cut into other
    UNet calls. What was handed out is let go.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], list[Tensor]] = {}

    def keep(self, number: int, part: str, x: Tensor) -> None:
        """Keep x [B, N, h] of a layer."""
        if part in LOCKED:
            self._kept.setdefault((number, part), []).append(x)

    def give(self, number: int, part: str, x: Tensor) -> Tensor | None:
        """What takes the place of x [B, N, h] of a layer."""
        if part not in LOCKED:
            return None
        kept = self._kept.get((number, part), [])
        if kept and len(kept[0]) != len(x):
            kept[:] = [torch.cat(kept)]
        if not kept or kept[0].shape[1:] != x.shape[1:] or len(kept[0]) < len(x):
            raise InstantStyleError(
                "layout_lock cannot be used: another extension changes the tokens in "
                "self-attention from call to call (hypertile does); switch it off, or set "
                "layout_lock to 0."
            )
        rest = kept.pop(0)
        if len(rest) > len(x):
            kept.insert(0, rest[len(x) :])
        return rest[: len(x)]
