"""When a unit acts: the part of the sampling between its start and its end.

Time is counted as completed steps over the steps that this pass executes, so it starts at 0,
never reaches 1, and means the same with any scheduler, in img2img and in both passes of hires fix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def acts(start: float, end: float, fraction: float) -> bool:
    """Whether a unit acts when `fraction` (0 <= fraction < 1) of the pass is completed."""
    return start <= fraction < end


def acting_steps(start: float, end: float, steps: int) -> list[int]:
    """The steps (0-based) of a pass of `steps` steps in which a unit acts."""
    return [step for step in range(steps) if acts(start, end, step / steps)]


def completed_fraction(evaluations: int, expected_evaluations: int, steps: int) -> float:
    """The completed share of a pass, from the number of finished model evaluations.

    A second-order sampler evaluates the model twice a step (and once in its last), so
    evaluations are counted down to whole steps first: both evaluations of a step act alike.

    evaluations: finished so far in this pass; expected_evaluations: of the whole pass, as the
    WebUI estimates it (steps x order); steps: executed in this pass.
    """
    if steps < 1:
        return 0.0
    order = max(1, round(expected_evaluations / steps))
    return min(evaluations // order, steps - 1) / steps


CURVES: Mapping[str, Callable[[float], float]] = {  # by the words of choices.TIME_CURVES
    "constant": lambda s: 1.0,
    "rising": lambda s: s,
    "falling": lambda s: 1 - s,
    "peak": lambda s: 1 - abs(2 * s - 1),
    "dip": lambda s: abs(2 * s - 1),
}


def strength(curve: str, start: float, end: float, fraction: float, steps: int) -> float:
    """The share of its weight, 0 to 1, with which a unit acts in the step beginning at `fraction`.

    0 where the unit does not act. Otherwise the curve at the middle of the step, so that few steps
    give the same mean as many: with s running from 0 at `start` to 1 at `end`, "rising" is s,
    "falling" 1 - s, "peak" 1 - |2 s - 1|, "dip" |2 s - 1| and "constant" 1.

    fraction: completed share of the pass, in whole steps, as `completed_fraction` gives it; steps:
    executed in this pass.
    """
    if not acts(start, end, fraction):
        return 0.0
    s = (fraction + 0.5 / max(1, steps) - start) / (end - start)
    return CURVES[curve](min(max(s, 0.0), 1.0))
