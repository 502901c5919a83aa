"""The current step, read from the WebUI's CFG denoiser: the rows of UNet calls, and progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.injection import UnetCall
from lib_instantstyle.unet.progress import SamplerProgress
from lib_instantstyle.unet.rows import (
    NEGATIVE,
    PROMPT,
    RowCounter,
    kind_of,
    kinds_by_context,
    owners_of,
    row_code,
)

AMBIGUOUS = (
    "another extension rearranges prompt and negative prompt, and which rows are "
    "which cannot be told for sure; they were taken in their usual order."
)

EACH_REFUSED = (
    "combine 'each' cannot be used: another extension deals out prompt and negative prompt anew, "
    "and whose picture is whose cannot be told; switch it off, or choose another way to combine."
)


class DenoiserClock:
    """Rows and progress of one sampling pass.

    `begin_step` gets the denoiser's parameters before each evaluation. They are read at the first
    UNet call of the step only, because a callback of another extension may still replace the
    conditioning in between.
    """

    def __init__(
        self, steps: int, warn: Callable[[str], None], tells_images_apart: bool = False
    ) -> None:
        """steps: executed in this pass."""
        self.progress = SamplerProgress(steps)
        self._tells_images_apart = tells_images_apart
        self._warn = warn
        self._warned = False
        self._rows = RowCounter()
        self._params: Any = None
        self._fresh = False
        self._fraction = 0.0
        self.paused = False  # True during UNet calls outside the sampling

    def begin_step(self, params: Any) -> None:
        """Take the parameters that the WebUI passes to `on_cfg_denoiser`."""
        self._params = params
        self._fresh = True
        self._fraction = self.progress.fraction(params.denoiser, params.sigma)

    def rows(self, call: UnetCall) -> tuple[int, ...] | None:
        """The codes of the rows of a UNet call (see unet/rows.py); None before the first step."""
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
        """The completed share of the pass, 0 to 1."""
        return self._fraction

    def latent(self) -> tuple[int, int] | None:
        """Height and width of the latent of this pass; None before the first step."""
        if self._params is None:
            return None
        height, width = self._params.x.shape[-2:]
        return height, width

    def rows_of_part(
        self, context: Any, in_order: tuple[int, ...], of_call: tuple[int, ...]
    ) -> tuple[int, ...]:
        """The codes of rows that another extension took out of a call, or added to it.

        They are told by comparing `context` [B, L, C] with the prompts. in_order: the codes if the
        extension keeps the order of rows. of_call: those of all rows of the call.
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
        # There may be more latents than prompts: instruct-pix2pix has the negative prompt twice.
        self._rows.begin_step(prompt, max(negative, len(self._params.x) - prompt), owners)

    def _kinds(
        self, context: Any, count: int, negatives: int | None = None
    ) -> tuple[int, ...] | None:
        """The kinds of `count` rows, by comparing `context` with the prompts; None if unclear."""
        if self._params is None:
            return None
        if self._params.text_uncond is None:  # Forge with CFG 1
            return (PROMPT,) * count
        known = _tokens(self._params.text_cond), _tokens(self._params.text_uncond)
        kinds = kinds_by_context(context, *known, negatives)
        return kinds if kinds is not None and len(kinds) == count else None

    def _dealt_out_anew(self, call: UnetCall) -> tuple[int, ...]:
        """The codes of a call with more rows than the step has left: tiles of several sets."""
        kinds = self._kinds(call.context, call.rows)
        in_order = self._rows.in_order(call.rows)
        if kinds is None:
            return self._guess(in_order)
        if not self._tells_images_apart:
            return kinds
        # The context does not tell the image of a row; its place does, if whole sets are called.
        if kinds != tuple(map(kind_of, in_order)):
            raise InstantStyleError(EACH_REFUSED)
        return in_order

    def _of_tiles(self, call: UnetCall, announced: tuple[int, ...]) -> tuple[int, ...]:
        """The codes of a call with another number of rows than announced: an extension tiles it.

        Forge's own MultiDiffusion calls whole sets of rows, one after the other.
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
    """The codes of rows from the options that the Forge family sends; None if it sends none.

    `cond_or_uncond` has one kind for each chunk of rows. A chunk, like `sigmas`, has a row for each
    image of the batch.
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
