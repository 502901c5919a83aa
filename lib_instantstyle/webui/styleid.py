"""StyleID in one generation of img2img: the picture to change is the content.

- before `p.init` the VAE is listened to, for the latents of the content;
- before `p.sample` the reference is encoded;
- in `launch_sampling` the sampler's function is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from lib_instantstyle.hosts import Host
from lib_instantstyle.hosts.diffusion import announce, diffusion_of
from lib_instantstyle.hosts.sampler_function import Sampling, sampler_function
from lib_instantstyle.hosts.wrapping import wrap_next_call
from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.pure.infotext import KEY, unit_to_text
from lib_instantstyle.pure.trajectory import Walk, along, published
from lib_instantstyle.pure.units import PUBLISHED, STYLEID, Unit
from lib_instantstyle.tensor import styleid
from lib_instantstyle.tensor.inversion import Denoiser, Trajectory
from lib_instantstyle.tensor.pictures import Picture
from lib_instantstyle.tensor.pixels import to_pixels
from lib_instantstyle.tensor.self_attention import find_self_attention, self_attention_hooks
from lib_instantstyle.tensor.trajectory_cache import TrajectoryCache
from lib_instantstyle.webui.checking import naming
from lib_instantstyle.webui.errors import InstantStyle
from lib_instantstyle.webui.unit_pictures import HASH_LENGTH, references_of

_DETERMINISTIC = ("DDIM", "Euler")  # what we do in place of any other sampler

_trajectories = TrajectoryCache()


class StyleID:
    """The state of one generation; it hangs on `p` with the rest of the run."""

    def __init__(self, unit: Unit, picture: Picture, comments: Sequence[str]) -> None:
        self.comments = comments  # what the user should be told beside the picture
        self.replaced = 0  # how often something in the UNet was replaced
        self._unit = unit
        self._picture = picture
        self._settings = styleid.Settings(unit.gamma, unit.tau, unit.adain, unit.start, unit.end)
        self._contents = torch.empty(0)
        self._content_of: list[int] = []
        self._style = torch.empty(0)
        self._empty_prompt: Any = None

    @property
    def infotext(self) -> dict[str, str]:
        digest = self._picture.sha256[:HASH_LENGTH]
        return {KEY.format(self._unit.number): unit_to_text(self._unit, {"image": digest})}

    def listen(self, p: Any) -> None:
        """Take the latents of the content from the next `p.init`."""

        def around(init: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            with diffusion_of(p).recording_latents() as latents:
                result = init(*args, **kwargs)
            self._contents, self._content_of = _unlike(_contents(p, latents))
            return result

        wrap_next_call(p, "init", around)

    def encode(self, p: Any) -> None:
        """Encode the reference at the size of the content; before the UNet is needed."""
        diffusion = diffusion_of(p)
        height, width = (8 * side for side in self._contents.shape[-2:])
        pixels = to_pixels(self._picture.image, width, height, self._unit.crop)
        self._style = diffusion.encode(pixels).to(self._contents)
        self._empty_prompt = diffusion.empty_prompt(width, height)

    @contextmanager
    def holding(
        self, p: Any, unet: torch.nn.Module, aside: Callable[[Denoiser], Denoiser]
    ) -> Iterator[None]:
        """Sample StyleID's way in this block.

        aside: makes a denoiser one whose UNet calls are no part of the sampling.
        """
        diffusion = diffusion_of(p)
        asking = aside(diffusion.asking(self._empty_prompt))
        sigmas = diffusion.sigmas()
        layers = find_self_attention(unet, styleid.BLOCKS)
        with self_attention_hooks(unet, layers) as hooks:

            def sample(sampling: Sampling) -> torch.Tensor:
                if _without_words(p):
                    sampling.extra_args["cond_scale"] = 1.0
                walk = self._walk(sampling, sigmas, p)
                style, *contents = self._trajectories(walk, diffusion.checkpoint, asking)
                return styleid.sample(
                    walk,
                    style,
                    contents,
                    self._content_of,
                    self._settings,
                    hooks,
                    sampling.predict,
                    asking,
                    sampling.after_step,
                )

            try:
                with sampler_function(p, sigmas, sample):
                    yield
            finally:
                announce("")
                self.replaced += hooks.replaced

    def _walk(self, sampling: Sampling, sigmas: list[float], p: Any) -> Walk:
        if self._unit.schedule == PUBLISHED:
            return published(p.steps, sigmas)
        return along(sampling.levels, self._unit.steps_of_inversion)

    def _trajectories(self, walk: Walk, checkpoint: str, asking: Denoiser) -> list[Trajectory]:
        found = []
        latents = [self._style, *(content[None] for content in self._contents)]
        for number, latent in enumerate(latents):
            what = "the content" if number else "the reference"
            told = _Told(asking, f"InstantStyle: inverting {what}", len(walk.up))
            found.append(_trajectories.trajectory(latent, walk, checkpoint, told))
        return found


@dataclass
class _Told:
    """A denoiser that says how far the inversion has come."""

    denoiser: Denoiser
    text: str
    steps: int
    done: int = 0

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        self.done += 1
        announce(f"{self.text}, {self.done} of {self.steps}")
        return self.denoiser(x, sigma)


def prepare_styleid(
    units: Sequence[Unit], host: Host, p: Any, unet: torch.nn.Module
) -> StyleID | None:
    """The StyleID of `units`, if there is one; raises InstantStyleError if it cannot be had."""
    chosen = [unit for unit in units if unit.method == STYLEID]
    if not chosen:
        return None
    unit = chosen[0]
    with naming(unit):
        if len(chosen) > 1:
            raise InstantStyleError(
                f"unit {chosen[1].number} has the method 'styleid' too; one of them is allowed."
            )
        check(unit, p, unet)
        picture = references_of(unit, host)[0]
    return StyleID(unit, picture, tuple(remarks(unit, p)))


def check(unit: Unit, p: Any, unet: torch.nn.Module) -> None:
    """Raise InstantStyleError for what StyleID cannot do."""
    problem = None
    if not getattr(p, "init_images", None):
        problem = "method is 'styleid', which needs a picture to change; use it in img2img"
    elif unit.crop not in ("center", "stretch"):
        problem = f"crop is {shorten(unit.crop)}; for StyleID one of 'center', 'stretch' is allowed"
    elif unet.get_parameter("input_blocks.0.0.weight").shape[1] != 4:
        problem = "StyleID cannot use an inpainting checkpoint; choose one for whole pictures"
    elif p.get_token_merging_ratio():
        problem = "StyleID cannot do with token merging; set its ratio to 0"
    elif getattr(p, "refiner_checkpoint_info", None) is not None:
        problem = "StyleID cannot change the checkpoint on its way; switch the refiner off"
    elif unit.schedule == PUBLISHED and p.denoising_strength < 1:
        problem = "StyleID's published schedule begins with noise; set Denoising strength to 1"
    elif unit.schedule == PUBLISHED:
        published(p.steps, [1.0] * 1000)
    if problem:
        raise InstantStyleError(f"{problem}.")


def remarks(unit: Unit, p: Any) -> Iterator[str]:
    """What the user should be told beside the picture."""
    if p.sampler_name not in _DETERMINISTIC:
        yield (
            f"InstantStyle: StyleID takes the noise levels of {p.sampler_name}, and steps between "
            "them as DDIM does."
        )
    if p.batch_size * p.n_iter > 1 and len(p.init_images) == 1:
        yield "InstantStyle: StyleID draws no random numbers, so the pictures of a batch are alike."


def _contents(p: Any, latents: list[torch.Tensor]) -> torch.Tensor:
    """The latents of the content, as large as the WebUI wants them."""
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


def _unlike(latents: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """The different ones of `latents`, and which of them each is."""
    found: list[torch.Tensor] = []
    numbers = []
    for latent in latents:
        same = (i for i, other in enumerate(found) if torch.equal(other, latent))
        numbers.append(next(same, len(found)))
        if numbers[-1] == len(found):
            found.append(latent)
    return torch.stack(found), numbers


def _without_words(p: Any) -> bool:
    """Guidance between two empty prompts is none; SDXL's empty ones differ all the same."""
    return not any(text.strip() for text in [*p.prompts, *p.negative_prompts])
