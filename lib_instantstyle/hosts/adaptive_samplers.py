"""Progress of samplers that choose their steps as they go, told by sigma."""

from __future__ import annotations

import inspect
import math
from typing import Any

_LAST = 0.999  # time never reaches 1
_SMALLEST = 0.03  # sigma, where the WebUI does not tell: the least of SD's noise schedule


def chooses_its_steps(sampler: Any) -> bool:
    """Whether `sampler` takes limits of sigma, and neither sigmas nor a number of steps.

    Of k-diffusion's samplers that is DPM adaptive: how many evaluations it makes is not known
    before it has made them.
    """
    try:
        names = inspect.signature(sampler.func).parameters.keys()
    except (AttributeError, TypeError, ValueError):
        return False
    return "sigma_min" in names and not names & {"n", "sigmas", "timesteps"}


class SigmaProgress:
    """The completed share of a pass, on the logarithm of sigma, in which such samplers step."""

    def __init__(self, sampler: Any) -> None:
        sigmas = getattr(getattr(sampler, "model_wrap", None), "sigmas", None)
        self._last = math.log(float(sigmas[0]) if sigmas is not None else _SMALLEST)
        self._first: float | None = None

    def fraction(self, sigma: float) -> float:
        """For an evaluation at `sigma`; the first one is at the beginning."""
        now = math.log(sigma)
        if self._first is None:
            self._first = now
        span = self._first - self._last
        done = (self._first - now) / span if span > 0 else 0.0
        return min(max(done, 0.0), _LAST)
