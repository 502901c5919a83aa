"""StyleID: the style of one picture on the content of another, without an adapter.

Both pictures are inverted to noise by DDIM. In the sampling, the self-attention of the decoder's
late layers takes its keys and values from the style's trajectory, and mixes its queries with those
of the content's trajectory. The first latent is the content's with the style's mean and standard
deviation per channel. Source: Chung et al., "Style Injection in Diffusion", arXiv 2312.09008,
https://github.com/jiwoogit/StyleID.

Only trajectories are kept, latents of 64 kB a step. The features of a step are computed when they
are needed, with one more UNet call for each picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch

from lib_instantstyle.methods.styleid.fields import (
    COSINE,
    EXPONENTIAL,
    LINEAR,
    QUADRATIC,
    ROOT,
)
from lib_instantstyle.unet.inversion import (
    Denoiser,
    Schedule,
    Trajectory,
    adain,
    latent_scale,
    move,
)
from lib_instantstyle.unet.progress import acts
from lib_instantstyle.unet.self_attention import (
    ATTENDED,
    TO_K,
    TO_Q,
    TO_V,
    AttentionFeatures,
    SelfAttentionHooks,
)

# Transformer indices. SD1.5: output_blocks.6 to 11, as published. SDXL (no part of the paper):
# output_blocks.3 to 5, the only ones of its decoder with as many tokens as SD1.5's last.
DEFAULT_BLOCKS: dict[str, Collection[int]] = {"sd15": range(10, 16), "sdxl": range(8, 11)}


@dataclass(frozen=True)
class Settings:
    """StyleID's settings; the defaults are the paper's."""

    gamma: float = 0.75  # share of the content's query in the first step
    gamma_end: float | None = None  # in the last; None: in all of them as in the first
    gamma_curve: str = LINEAR
    tau: float = 1.5  # factor of the attention's logits
    adain: float = 1.0  # share of the style's statistics in the first latent
    start: float = 0.0  # part of the sampling in which attention is replaced
    end: float = 1.0

    def in_step(self, step: int, steps: int) -> Settings:
        """The settings of a step (0-based), in which `gamma` is constant."""
        if self.gamma_end is None or steps < 2:
            return self
        way = GAMMA_WAYS[self.gamma_curve](step / (steps - 1))
        gamma = self.gamma + way * (self.gamma_end - self.gamma) if way < 1 else self.gamma_end
        return replace(self, gamma=gamma, gamma_end=None)


GAMMA_WAYS: Mapping[str, Callable[[float], float]] = {
    LINEAR: lambda a: a,
    QUADRATIC: lambda a: a**2,
    ROOT: math.sqrt,
    COSINE: lambda a: (1 - math.cos(math.pi * a)) / 2,
    EXPONENTIAL: lambda a: math.expm1(a) / math.expm1(1),
}
"""By curve: how far gamma has gone, 0 to 1, in the step that is at `a` of the way from the first to
the last. Source: arXiv 2605.26538 (NTIRE workshop at CVPR 2026)."""


class StyleInjection:
    """Replaces queries, keys and values of a UNet call by those of style and content.

    style: keys and values. contents: queries of each content. latents: [B, 4, h, w], the batch in
    this step. content_of: for each picture of the batch the number of its content.
    """

    def __init__(
        self,
        style: AttentionFeatures,
        contents: Sequence[AttentionFeatures],
        latents: torch.Tensor,
        content_of: Sequence[int],
        settings: Settings,
    ) -> None:
        self._style = style
        self._alike = len(contents) == 1
        self._queries: AttentionFeatures = (
            contents[0]
            if self._alike  # no copy: it would be a third of all that is kept
            else {key: torch.cat([each[key] for each in contents]) for key in contents[0]}
        )
        self._latents = latents
        self._content_of = torch.tensor(content_of, device=latents.device)
        self._settings = settings
        self._rows: torch.Tensor | None = None  # content of each row of the current call

    def on_latents(self, latents: torch.Tensor) -> None:
        """See self_attention.LatentCallback. The latents tell which row is of which picture."""
        if not self._alike:
            self._rows = self._content_of[nearest(latents, self._latents)]

    def act(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor | None:
        """See self_attention.AttentionCallback."""
        if part == ATTENDED:
            return None
        if part != TO_Q:
            return self._style[number, part].to(x.dtype).expand(len(x), -1, -1).contiguous()
        query = self._queries[number, part].to(x.dtype)
        if self._rows is not None:
            query = query[self._rows]
        # Logits are the product of query and key, so tau may as well multiply the query.
        return torch.lerp(x, query.expand_as(x), self._settings.gamma) * self._settings.tau


def first_state(
    schedule: Schedule, style: Trajectory, contents: Sequence[Trajectory], share: float
) -> torch.Tensor:
    """The states [contents, 4, h, w] with which the sampling begins.

    share: how far each content gets the style's mean and standard deviation per channel, 0 to 1.
    """
    top = schedule.up[-1].end
    content = torch.cat([trajectory[top] for trajectory in contents])
    x = torch.lerp(content, adain(content, style[top], (2, 3)), share)
    return x / latent_scale(top) * latent_scale(schedule.down[0].start)


@dataclass(frozen=True)
class StyleTransfer:
    """One stylised sampling.

    style, contents: trajectories with states at the sigmas `schedule.kept`. content_of: for each
    picture of the batch the number of its content. hooks: on the self-attention layers to change.
    """

    schedule: Schedule
    style: Trajectory
    contents: Sequence[Trajectory]
    content_of: Sequence[int]
    settings: Settings
    hooks: SelfAttentionHooks

    def sample(
        self,
        predict: Denoiser,
        unconditional: Denoiser,
        after_step: Callable[[int, torch.Tensor], None],
    ) -> torch.Tensor:
        """The stylised latents [B, 4, h, w], in the scale of the timesteps.

        predict: predicts the noise in the batch with the user's prompts and guidance.
        unconditional: predicts the noise in one latent with an empty prompt, to capture features.
        after_step: called with the number of each finished step and the state after it.
        """
        settings, steps = self.settings, self.schedule.down
        x = first_state(self.schedule, self.style, self.contents, settings.adain)
        x = x[list(self.content_of)]
        for i, step in enumerate(steps):
            with ExitStack() as styled:
                if acts(settings.start, settings.end, i / len(steps)):
                    now = settings.in_step(i, len(steps))
                    injection = self._injection(x, step.at, unconditional, now)
                    styled.enter_context(self.hooks.acting(injection.act, injection.on_latents))
                noise = predict(x, step.at)
            x = move(x, noise, step)
            after_step(i, x)
        return x / latent_scale(steps[-1].end)

    def _injection(
        self, latents: torch.Tensor, sigma: float, unconditional: Denoiser, settings: Settings
    ) -> StyleInjection:
        def captured(parts: Collection[str], trajectory: Trajectory) -> AttentionFeatures:
            with self.hooks.capturing(parts) as features:
                unconditional(trajectory[sigma], sigma)
            return features

        style = captured((TO_K, TO_V), self.style)
        contents = [captured((TO_Q,), each) for each in self.contents]
        return StyleInjection(style, contents, latents, self.content_of, settings)


def nearest(rows: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """The number of the picture that each row shows: rows [R, ...], pictures [B, ...] -> [R].

    Told by the largest cosine, so neither scale nor precision matters.
    """
    a, b = (x.flatten(1).float() for x in (rows.to(pictures.device), pictures))
    return torch.nn.functional.normalize(a).matmul(torch.nn.functional.normalize(b).T).argmax(1)
