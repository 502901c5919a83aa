"""Times that can be compared: cases in turn, medians, and the share spent in our hooks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

import torch

from lib_instantstyle.unet.attention_hook import LayerHook
from lib_instantstyle.unet.injection import Injection


@dataclass
class Times:
    """Seconds of one case, run by run; hooks: what of them our hooks took."""

    seconds: list[float] = field(default_factory=list)
    hooks: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half of the distance between the quartiles, as a share of the median."""
        if len(self.seconds) < 4:
            return (max(self.seconds) - min(self.seconds)) / 2 / self.median
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return (high - low) / 2 / self.median

    @property
    def share(self) -> float:
        """Median share of a run that our hooks took: steady where the machine is not."""
        return statistics.median(h / s for h, s in zip(self.hooks, self.seconds))


class _Stopwatch:
    def __init__(self) -> None:
        self.total = 0.0

    def around(self, function: Callable[..., object]) -> Callable[..., object]:
        def timed(*args: object, **kwargs: object) -> object:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.total += time.perf_counter() - begin

        return timed


@contextmanager
def hook_time() -> Iterator[_Stopwatch]:
    """Counts the seconds spent in our hooks. Enter it before hooks are attached."""
    watch = _Stopwatch()
    with (
        mock.patch.object(LayerHook, "_see_query", watch.around(LayerHook._see_query)),
        mock.patch.object(LayerHook, "_add_terms", watch.around(LayerHook._add_terms)),
        mock.patch.object(Injection, "_before_unet", watch.around(Injection._before_unet)),
    ):
        yield watch


def interleaved(
    cases: Mapping[str, Callable[[_Stopwatch], object]], repetitions: int
) -> dict[str, Times]:
    """Run all cases in turn, once to warm up and `repetitions` times for the record.

    A case gets the stopwatch of the hooks, whose function it must have entered.
    """
    times = {name: Times() for name in cases}
    for repetition in range(repetitions + 1):
        for name, run in cases.items():
            with hook_time() as watch, torch.no_grad():
                begin = time.perf_counter()
                run(watch)
                taken = time.perf_counter() - begin
            if repetition:
                times[name].seconds.append(taken)
                times[name].hooks.append(watch.total)
    return times
