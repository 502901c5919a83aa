"""How far a sampler has come, and whether a unit acts there.

Time is counted as completed steps over the steps that a pass executes, so it starts at 0, never
reaches 1, and means the same with any scheduler, in img2img and in both passes of hires fix.

Samplers evaluate the model once, twice or three times in a step, PLMS twice in its first step only,
and some not in every step. Counting evaluations is therefore not enough. These are asked, in order:

- the loop counter of the sampler's function, a variable in its frame. It is believed as long as it
  equals the `i` that the function passes to its callback;
- evaluations, where the WebUI knows that the sampler makes several in each step, and the callback
  was called;
- the place of the evaluation's sigma (or timestep) in the list that the function was given, if the
  first evaluation is at the first of these (UniPC makes a list of its own);
- evaluations again, one for each step.

DPM adaptive has no steps; its progress is read from sigma.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import torch
from torch import nn

_LAST = 0.999  # the largest fraction: 1 would be the end of the pass
_SMALLEST = 0.03  # least sigma of SD's noise schedule, if the sampler does not have it
_SAME = 1e-4  # relative difference of two sigmas that are one
_LISTS = ("sigmas", "timesteps")  # parameters of sampler functions

_MODEL_CALL = nn.Module.__module__  # functions of this module call models

_Variable = tuple[CodeType, str]  # the function that has it, its name


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


class SamplerProgress:
    """The progress of one run of a sampler."""

    def __init__(self, steps: int) -> None:
        """steps: executed in this run."""
        self._steps = steps
        self._levels: Sequence[float] = ()  # sigmas or timesteps, from noise to picture
        self._counter: _LoopCounter | None = None
        self._adaptive: _SigmaProgress | None = None

    @contextmanager
    def watching(self, sampler: Any) -> Iterator[None]:
        """A context in which the arguments and the loop of `sampler.func` are seen."""
        function = getattr(sampler, "func", None)
        if not callable(function):
            yield
            return

        def watched(*args: Any, **kwargs: Any) -> Any:
            self._levels = _levels(function, args, kwargs)
            self._counter = counter = _LoopCounter(watched.__code__) if self._levels else None
            callback = kwargs.get("callback")
            if counter is not None and callable(callback):

                @functools.wraps(callback)
                def watched_callback(state: Any, *more: Any, **others: Any) -> Any:
                    counter.compare(state)
                    return callback(state, *more, **others)

                kwargs["callback"] = watched_callback
            return function(*args, **kwargs)

        sampler.func = replacing = functools.wraps(function)(watched)  # others ask for a signature
        try:
            yield
        finally:
            if sampler.func is replacing:
                sampler.func = function

    def fraction(self, denoiser: Any, level: torch.Tensor) -> float:
        """The completed share of the run before an evaluation, in whole steps; below 1.

        denoiser: the WebUI's CFG denoiser, with `step` evaluations done and `total_steps` expected.
        level: [B], sigma or timestep of the evaluation. It is read only where nothing else tells
        the step, because reading it waits for the device.
        """
        sampler = getattr(denoiser, "sampler", None)
        if self._adaptive is None and chooses_its_steps(sampler):
            self._adaptive = _SigmaProgress(sampler)
        if self._adaptive is not None:
            return self._adaptive.fraction(float(level.flatten()[0]))
        expected = denoiser.total_steps or self._steps
        step = self._counter.value() if self._counter is not None else None
        begins = self._counter is not None and self._counter.is_before_callback
        if step is None and self._levels and (begins or expected < 1.5 * self._steps):
            step = self._place(float(level.flatten()[0]), denoiser.step)
        if step is None:
            return completed_fraction(denoiser.step, expected, self._steps)
        return completed_fraction(step, self._steps, self._steps)

    def _place(self, level: float, evaluations: int) -> int | None:
        """The last place in the list whose level is not below `level`, from 0.

        evaluations: done so far. None if the sampler does not begin where the list does.
        """
        if not evaluations and not math.isclose(level, self._levels[0], rel_tol=_SAME):
            self._levels = ()
            return None
        above = sum(1 for each in self._levels if each >= level * (1 - _SAME))
        return max(above - 1, 0)


def _levels(function: Callable[..., Any], args: Any, kwargs: Any) -> Sequence[float]:
    """The sigmas or timesteps that a sampler's function is called with, from noise to picture."""
    try:
        given = inspect.signature(function).bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):
        given = kwargs
    levels = next((given[name] for name in _LISTS if given.get(name) is not None), ())
    return sorted(torch.as_tensor(levels).flatten().tolist(), reverse=True)


class _LoopCounter:
    """A sampler's loop counter, found among the variables of the functions that run.

    A variable is the counter if it has equalled the callback's `i` in every call. Before the first
    call it is the one that is called `i`, if that is 0.
    """

    def __init__(self, outermost: CodeType) -> None:
        """outermost: code of the function that calls the sampler's."""
        self._outermost = outermost
        self._variables: list[_Variable] | None = None
        self._last = -1  # the callback's latest `i`

    def compare(self, state: Any) -> None:
        """Take what the sampler passes to its callback."""
        number = state.get("i") if isinstance(state, dict) else None
        if not isinstance(number, int):
            self._variables = []
            return
        equal = [
            (frame.f_code, name)
            for frame in self._frames()
            for name, value in frame.f_locals.items()
            if type(value) is int and value == number
        ]
        known = self._variables
        self._variables = [each for each in equal if known is None or each in known]
        self._variables.sort(key=lambda variable: variable[1] != "i")
        self._last = number

    @property
    def is_before_callback(self) -> bool:
        """Whether the sampler has not called its callback yet."""
        return self._variables is None

    def value(self) -> int | None:
        """The number of the step under way, from 0; None if it is not known."""
        frames = self._frames()
        if self._variables is None:
            names = (frame.f_locals.get("i") for frame in frames)
            first = next((value for value in names if value is not None), None)
            return 0 if type(first) is int and first == 0 else None
        for code, name in self._variables:
            value = next((f.f_locals.get(name) for f in frames if f.f_code is code), None)
            if type(value) is int and value in (self._last, self._last + 1):
                return value
        return None

    def _frames(self) -> list[FrameType]:
        """The frames of the sampler: from its function inwards, up to the call of the model."""
        found: list[FrameType] = []
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code is not self._outermost:
            if frame.f_globals.get("__name__") == _MODEL_CALL:
                found.clear()  # what is further in belongs to the model
            else:
                found.append(frame)
            frame = frame.f_back
        return found[::-1] if frame is not None else []


def chooses_its_steps(sampler: Any) -> bool:
    """Whether `sampler` takes limits of sigma, and neither sigmas nor a number of steps.

    Among k-diffusion's samplers that is DPM adaptive, whose number of evaluations is not known
    beforehand.
    """
    try:
        names = inspect.signature(sampler.func).parameters.keys()
    except (AttributeError, TypeError, ValueError):
        return False
    return "sigma_min" in names and not names & {"n", *_LISTS}


class _SigmaProgress:
    """The completed share of a run, linear in the logarithm of sigma, as such samplers step."""

    def __init__(self, sampler: Any) -> None:
        sigmas = getattr(getattr(sampler, "model_wrap", None), "sigmas", None)
        self._last = math.log(float(sigmas[0]) if sigmas is not None else _SMALLEST)
        self._first: float | None = None

    def fraction(self, sigma: float) -> float:
        """The share before an evaluation at `sigma`; 0 at the first one."""
        now = math.log(sigma)
        if self._first is None:
            self._first = now
        span = self._first - self._last
        done = (self._first - now) / span if span > 0 else 0.0
        return min(max(done, 0.0), _LAST)
