"""The step under way, read off the WebUI's CFG denoiser."""

from __future__ import annotations

from typing import Any

from lib_instantstyle.pure.rows import RowCounter
from lib_instantstyle.pure.schedule import completed_fraction


class DenoiserClock:
    """Rows and progress of one sampling pass.

    The denoiser's callback brings its parameters before each evaluation. They are kept, not read:
    a callback that runs later may still replace the conditioning, and the UNet is called after all
    of them.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps  # that this pass executes
        self._rows = RowCounter()
        self._params: Any = None
        self._fraction = 0.0

    def begin_step(self, params: Any) -> None:
        """Take the parameters of `on_cfg_denoiser`."""
        self._params = params
        denoiser = params.denoiser
        self._fraction = completed_fraction(
            denoiser.step, denoiser.total_steps or self.steps, self.steps
        )

    def rows(self, count: int) -> tuple[int, ...] | None:
        """Kinds of the next `count` rows; None before the first step."""
        if self._params is not None:
            self._rows.begin_step(
                _row_count(self._params.text_cond), _row_count(self._params.text_uncond)
            )
            self._params = None
        return self._rows.take(count)

    def fraction(self) -> float:
        """Completed share of the pass."""
        return self._fraction


def _row_count(conditioning: Any) -> int:
    """Rows of a conditioning: a tensor for SD1.5, a dictionary of tensors for SDXL."""
    if isinstance(conditioning, dict):
        conditioning = conditioning["crossattn"]
    return int(conditioning.shape[0])
