"""StyleID in one generation of img2img: the picture to change is the content.

- during `p.init` the latents that the VAE encodes are recorded: those of the content;
- before `p.sample` the reference is encoded;
- in `launch_sampling` our function takes the place of the sampler's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import current
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.refusal import InstantStyle
from lib_instantstyle.hosts.sampler_function import Sampling, sampler_function
from lib_instantstyle.hosts.wrapping import wrap_calls
from lib_instantstyle.methods.base import Findings, Pass
from lib_instantstyle.methods.self_attention import (
    AttentionContext,
    AttentionMethod,
    AttentionPart,
    ReferencePicture,
    ReportingDenoiser,
    trajectories,
)
from lib_instantstyle.methods.styleid.algorithm import DEFAULT_BLOCKS, Settings, StyleTransfer
from lib_instantstyle.methods.styleid.fields import PUBLISHED, SAMPLER
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.unet.inversion import (
    TIMESTEPS,
    Schedule,
    Trajectory,
    exact_steps,
    published_schedule,
    sampler_schedule,
)
from lib_instantstyle.units.unit import Unit

_DETERMINISTIC = ("DDIM", "Euler")  # samplers whose steps are those of StyleTransfer
_EXACT = ", ".join(str(steps) for steps in exact_steps(100))
_STATUS = (
    "StyleID needs no adapter and no image encoder: it takes the self-attention of the reference. "
    "It works in img2img; each picture first goes back to its noise, which takes a while. "
)
_OF_SCHEDULE = {
    SAMPLER: "Noise levels are the sampler's; DDIM takes exactly as many as asked for with "
    f"{_EXACT} steps.",
    PUBLISHED: "Noise levels are the published code's: with 50 steps, 50 calls of the UNet on the "
    "way up to t = 999 and 49 on the way down from t = 961, which starts with the latent of 999. "
    f"Denoising strength must be 1, and steps one of {_EXACT}.",
}


class StyleIDPart(AttentionPart):
    """See AttentionPart."""

    def __init__(self, unit: Unit, blocks: Collection[int], picture: Picture) -> None:
        super().__init__(unit, blocks, picture)
        self._settings = Settings(
            unit.gamma,
            unit.gamma_end,
            unit.gamma_curve,
            unit.tau,
            unit.adain,
            unit.start,
            unit.end,
        )
        self._contents = torch.empty(0)
        self._content_of: list[int] = []

    def before_init(self, p: Any) -> None:
        def around(init: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            with current(p).diffusion(p).recording_latents() as latents:
                result = init(*args, **kwargs)
            self._contents, self._content_of = _distinct(_contents(p, latents))
            return result

        wrap_calls(p, "init", around)

    def size(self, p: Any) -> tuple[int, int]:
        height, width = (8 * side for side in self._contents.shape[-2:])
        return width, height

    @contextmanager
    def around_sampling(self, p: Any, current: Pass) -> Iterator[None]:
        with self.hooks_installed(p, current) as attention:

            def sample(sampling: Sampling) -> torch.Tensor:
                if _without_words(p):
                    sampling.extra_args["cond_scale"] = 1.0
                schedule = self._schedule(sampling, attention.sigmas, p)
                style, *contents = self._trajectories(schedule, attention)
                transfer = StyleTransfer(
                    schedule, style, contents, self._content_of, self._settings, attention.hooks
                )
                return transfer.sample(
                    sampling.predict, attention.unconditional, sampling.after_step
                )

            with sampler_function(p, attention.sigmas, sample):
                yield

    def _schedule(self, sampling: Sampling, sigmas: Sequence[float], p: Any) -> Schedule:
        if self.unit.schedule == PUBLISHED:
            return published_schedule(p.steps, sigmas)
        return sampler_schedule(sampling.levels, self.unit.steps_of_inversion)

    def _trajectories(self, schedule: Schedule, attention: AttentionContext) -> list[Trajectory]:
        made = []
        style = self.reference.to(self._contents)
        for number, latent in enumerate([style, *(content[None] for content in self._contents)]):
            text = f"InstantStyle: inverting the {'content' if number else 'reference'}"
            denoiser = ReportingDenoiser(attention.unconditional, text, len(schedule.up))
            checkpoint = attention.diffusion.checkpoint
            made.append(trajectories().trajectory(latent, schedule, checkpoint, denoiser))
        return made


class StyleIDMethod(AttentionMethod):
    """See AttentionMethod."""

    usual_blocks = DEFAULT_BLOCKS

    def status(self, unit: Unit) -> str:
        return _STATUS + _OF_SCHEDULE[unit.schedule]

    def check(self, unit: Unit, context: Context, findings: Findings) -> ReferencePicture | None:
        if not getattr(context.p, "is_known", True):
            findings.remark("it needs a picture to change; use it in img2img.")
        return super().check(unit, context, findings)

    def problems(self, unit: Unit, context: Context) -> Iterator[str]:
        p = context.p
        if not getattr(p, "init_images", None):
            yield "method is 'styleid', which needs a picture to change; use it in img2img."
            return
        if unit.schedule == PUBLISHED and p.denoising_strength < 1:
            yield "StyleID's published schedule begins with noise; set Denoising strength to 1."
        if unit.schedule == PUBLISHED:
            try:
                published_schedule(p.steps, [1.0] * TIMESTEPS)
            except InstantStyleError as error:
                yield str(error)

    def attention_part(
        self, unit: Unit, blocks: Collection[int], picture: Picture | None
    ) -> AttentionPart:
        assert picture is not None
        return StyleIDPart(unit, blocks, picture)

    def remarks(self, unit: Unit, p: Any) -> Iterator[str]:
        if p.sampler_name not in _DETERMINISTIC:
            yield (
                f"StyleID takes the noise levels of {p.sampler_name}, and steps between them as "
                "DDIM does."
            )
        if p.batch_size * p.n_iter > 1 and len(p.init_images) == 1:
            yield "StyleID draws no random numbers, so the pictures of a batch are alike."


def _contents(p: Any, latents: list[torch.Tensor]) -> torch.Tensor:
    """The latents of the content [B, 4, h, w], of the size of `p.init_latent`."""
    wanted = p.init_latent
    if not latents:  # encoded by something that knows one latent only (TAESD)
        encoded: torch.Tensor = wanted.float()
        return encoded
    found = torch.cat(latents)[: len(wanted)].to(wanted.device)
    if found.shape[2:] != wanted.shape[2:] and p.resize_mode == 3:  # "just resize (latent)"
        found = torch.nn.functional.interpolate(found, size=wanted.shape[2:], mode="bilinear")
    if found.shape != wanted.shape:
        raise InstantStyle(
            "the latent of the picture to change could not be had, because the WebUI encodes it in "
            "parts; make the picture smaller."
        )
    return found


def _distinct(latents: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """The distinct ones of `latents`, and for each of `latents` the number of its equal there."""
    found: list[torch.Tensor] = []
    numbers = []
    for latent in latents:
        same = (i for i, other in enumerate(found) if torch.equal(other, latent))
        numbers.append(next(same, len(found)))
        if numbers[-1] == len(found):
            found.append(latent)
    return torch.stack(found), numbers


def _without_words(p: Any) -> bool:
    """Whether all prompts are empty, where guidance would do nothing but for one thing: the
    embeddings of SDXL's empty prompt and empty negative prompt differ."""
    return not any(text.strip() for text in [*p.prompts, *p.negative_prompts])


METHOD = StyleIDMethod()
