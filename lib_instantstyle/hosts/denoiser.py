"""The step under way, read off the WebUI's CFG denoiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib_instantstyle.pure.rows import NEGATIVE, PROMPT, RowCounter
from lib_instantstyle.pure.schedule import completed_fraction
from lib_instantstyle.tensor.context_rows import kinds_by_context
from lib_instantstyle.tensor.injection import UnetCall

AMBIGUOUS = (
    "InstantStyle: another extension rearranges prompt and negative prompt, and which rows are "
    "which cannot be told for sure; they were taken in their usual order."
)


class DenoiserClock:
    """Rows and progress of one sampling pass.

    The denoiser's callback brings its parameters before each evaluation. They are kept, not read:
    a callback that runs later may still replace the conditioning, and the UNet is called after all
    of them.
    """

    def __init__(self, steps: int, warn: Callable[[str], None]) -> None:
        self.steps = steps  # that this pass executes
        self._warn = warn
        self._warned = False
        self._rows = RowCounter()
        self._params: Any = None
        self._fresh = False
        self._fraction = 0.0
        self.paused = False  # for UNet calls that are no part of the sampling

    def begin_step(self, params: Any) -> None:
        """Take the parameters of `on_cfg_denoiser`."""
        self._params = params
        self._fresh = True
        denoiser = params.denoiser
        self._fraction = completed_fraction(
            denoiser.step, denoiser.total_steps or self.steps, self.steps
        )

    def rows(self, call: UnetCall) -> tuple[int, ...] | None:
        """Kinds of the rows of a UNet call; None before the first step."""
        if self.paused:
            return None
        announced = _announced(call)
        if announced is not None:
            return announced
        if self._fresh:
            self._begin()
        if not self._rows.known:
            return None
        return self._rows.take(call.rows) or self._by_content(call)

    def fraction(self) -> float:
        """Completed share of the pass."""
        return self._fraction

    def _begin(self) -> None:
        self._fresh = False
        prompt = len(_tokens(self._params.text_cond))
        negative = len(_tokens(self._params.text_uncond))
        # The latents tell of rows beyond: instruct-pix2pix evaluates the negative prompt twice.
        self._rows.begin_step(prompt, max(negative, len(self._params.x) - prompt))

    def _by_content(self, call: UnetCall) -> tuple[int, ...]:
        """More rows than the step has: another extension deals them out, so look what they hold."""
        kinds = kinds_by_context(
            call.context, _tokens(self._params.text_cond), _tokens(self._params.text_uncond)
        )
        if kinds is not None:
            return kinds
        if not self._warned:
            self._warned = True
            self._warn(AMBIGUOUS)
        return self._rows.in_order(call.rows)


def _announced(call: UnetCall) -> tuple[int, ...] | None:
    """Rows as the Forge family announces them with the call: one kind for each chunk of rows."""
    chunks = call.options.get("cond_or_uncond")
    if not chunks or call.rows % len(chunks):
        return None
    each = call.rows // len(chunks)
    return tuple(NEGATIVE if chunk else PROMPT for chunk in chunks for _ in range(each))


def _tokens(conditioning: Any) -> Any:
    """Tokens [rows, L, C] of a conditioning: a tensor for SD1.5, a dictionary for SDXL."""
    return conditioning["crossattn"] if isinstance(conditioning, dict) else conditioning
