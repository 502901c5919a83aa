"""The step under way, read off the WebUI's CFG denoiser."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.injection import UnetCall
from lib_instantstyle.unet.rows import (
    NEGATIVE,
    PROMPT,
    RowCounter,
    kind_of,
    kinds_by_context,
    owners_of,
    row_code,
)
from lib_instantstyle.units.schedule import completed_fraction

AMBIGUOUS = (
    "InstantStyle: another extension rearranges prompt and negative prompt, and which rows are "
    "which cannot be told for sure; they were taken in their usual order."
)

EACH_REFUSED = (
    "combine 'each' cannot be used: another extension deals out prompt and negative prompt anew, "
    "and whose picture is whose cannot be told; switch it off, or choose another way to combine."
)


class DenoiserClock:
    """Rows and progress of one sampling pass.

    The denoiser's callback brings its parameters before each evaluation. They are kept, not read:
    a callback that runs later may still replace the conditioning, and the UNet is called after all
    of them.
    """

    def __init__(
        self, steps: int, warn: Callable[[str], None], tells_images_apart: bool = False
    ) -> None:
        self.steps = steps  # that this pass executes
        self._tells_images_apart = tells_images_apart
        self._warn = warn
        self._warned = False
        self._rows = RowCounter()
        self._params: Any = None
        self._fresh = False
        self._fraction = 0.0
        self._adaptive: SigmaProgress | None = None
        self.paused = False  # for UNet calls that are no part of the sampling

    def begin_step(self, params: Any) -> None:
        """Take the parameters of `on_cfg_denoiser`."""
        self._params = params
        self._fresh = True
        denoiser = params.denoiser
        sampler = getattr(denoiser, "sampler", None)
        if self._adaptive is None and chooses_its_steps(sampler):
            self._adaptive = SigmaProgress(sampler)
        if self._adaptive is not None:
            self._fraction = self._adaptive.fraction(float(params.sigma.flatten()[0]))
            return
        self._fraction = completed_fraction(
            denoiser.step, denoiser.total_steps or self.steps, self.steps
        )

    def rows(self, call: UnetCall) -> tuple[int, ...] | None:
        """Kinds of the rows of a UNet call; None before the first step."""
        if self.paused:
            return None
        announced = _announced(call, self._tells_images_apart)
        if announced is not None:
            return announced if len(announced) == call.rows else self._of_tiles(call, announced)
        if self._fresh:
            self._begin()
        if not self._rows.known:
            return None
        return self._rows.take(call.rows) or self._dealt_out_anew(call)

    def fraction(self) -> float:
        """Completed share of the pass."""
        return self._fraction

    def latent(self) -> tuple[int, int] | None:
        """Height and width of the latent that this pass makes; None before the first step."""
        if self._params is None:
            return None
        height, width = self._params.x.shape[-2:]
        return height, width

    def rows_of_part(
        self, context: Any, in_order: tuple[int, ...], of_call: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Kinds of rows that another extension took out of a call or added, by what they hold.

        in_order: what they are if it takes the rows in their order. of_call: all rows of the call.
        """
        if self._tells_images_apart:
            raise InstantStyleError(EACH_REFUSED)
        count = len(in_order)
        kinds = self._kinds(context, count)
        if kinds is None and count > len(of_call):
            kinds = self._kinds(context, count, of_call.count(NEGATIVE))
        return kinds or self._guess(in_order)

    def _begin(self) -> None:
        self._fresh = False
        prompt = len(_tokens(self._params.text_cond))
        negative = len(_tokens(self._params.text_uncond))
        owners = None
        if self._tells_images_apart:
            owners = owners_of(_repeats(self._params.denoiser), prompt, negative or prompt)
        # The latents tell of rows beyond: instruct-pix2pix evaluates the negative prompt twice.
        self._rows.begin_step(prompt, max(negative, len(self._params.x) - prompt), owners)

    def _kinds(
        self, context: Any, count: int, negatives: int | None = None
    ) -> tuple[int, ...] | None:
        """Kinds of `count` rows that another extension deals out, by what they hold."""
        if self._params is None:
            return None
        if self._params.text_uncond is None:  # Forge with CFG 1
            return (PROMPT,) * count
        known = _tokens(self._params.text_cond), _tokens(self._params.text_uncond)
        kinds = kinds_by_context(context, *known, negatives)
        return kinds if kinds is not None and len(kinds) == count else None

    def _dealt_out_anew(self, call: UnetCall) -> tuple[int, ...]:
        """Rows of a call that has more than the step has left: tiles of several sets of rows."""
        kinds = self._kinds(call.context, call.rows)
        in_order = self._rows.in_order(call.rows)
        if kinds is None:
            return self._guess(in_order)
        if not self._tells_images_apart:
            return kinds
        # What a row attends to does not tell whose picture it is; its place does, in whole sets.
        if kinds != tuple(map(kind_of, in_order)):
            raise InstantStyleError(EACH_REFUSED)
        return in_order

    def _of_tiles(self, call: UnetCall, announced: tuple[int, ...]) -> tuple[int, ...]:
        """Another number of rows than announced: an extension deals them out in tiles.

        Forge's own MultiDiffusion lays whole sets of rows one behind the other.
        """
        repeated = (announced * (call.rows // len(announced) + 1))[: call.rows]
        if len(set(announced)) == 1 or self._tells_images_apart:
            return repeated
        kinds = self._kinds(call.context, call.rows)
        if kinds is None and call.rows % len(announced):
            return self._guess(repeated)
        return kinds or repeated

    def _guess(self, in_order: tuple[int, ...]) -> tuple[int, ...]:
        if not self._warned:
            self._warned = True
            self._warn(AMBIGUOUS)
        return in_order


def _announced(call: UnetCall, tells_images_apart: bool) -> tuple[int, ...] | None:
    """Rows as the Forge family announces them with the call: one kind for each chunk of rows.

    A chunk has a row for each image of the batch, and so has `sigmas`.
    """
    chunks = call.options.get("cond_or_uncond")
    if not chunks:
        return None
    sigmas = call.options.get("sigmas")
    if sigmas is None and call.rows % len(chunks):
        return None
    each = call.rows // len(chunks) if sigmas is None else len(sigmas)
    return tuple(
        row_code(NEGATIVE if chunk else PROMPT, image if tells_images_apart else 0)
        for chunk in chunks
        for image in range(each)
    )


def _repeats(denoiser: Any) -> list[int] | None:
    """How many prompts each image of the batch joins with AND."""
    p = getattr(denoiser, "p", None)
    conditioning = getattr(p, "hr_c" if getattr(p, "is_hr_pass", False) else "c", None)
    batch = getattr(conditioning, "batch", None)
    return None if batch is None else [len(prompts) for prompts in batch]


def _tokens(conditioning: Any) -> Any:
    """Tokens [rows, L, C] of a conditioning: a tensor for SD1.5, a dictionary for SDXL."""
    return conditioning["crossattn"] if isinstance(conditioning, dict) else conditioning


# Progress of samplers that choose their steps as they go, told by sigma.

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
