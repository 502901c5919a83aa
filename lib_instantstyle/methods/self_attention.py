"""The common base of the methods on self-attention: StyleID, StyleAligned and swap."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from lib_instantstyle.errors import InstantStyleError, NoReference, shorten
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.diffusion import Diffusion, announce
from lib_instantstyle.hosts.live import queue_lock_if_free
from lib_instantstyle.layout import Layout
from lib_instantstyle.methods.base import (
    BlockPlan,
    Findings,
    Method,
    Part,
    Pass,
    ReferencePlan,
    StatusText,
)
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.references.store import keep_files
from lib_instantstyle.references.unit_pictures import HASH_LENGTH, references_of
from lib_instantstyle.session import SESSION
from lib_instantstyle.unet.inversion import Denoiser, to_pixels
from lib_instantstyle.unet.layers import SelfAttention
from lib_instantstyle.unet.reach import listed
from lib_instantstyle.unet.self_attention import (
    SelfAttentionHooks,
    self_attention_hooks,
)
from lib_instantstyle.unet.trajectory_cache import TrajectoryCache
from lib_instantstyle.units.choices import INVERSION
from lib_instantstyle.units.infotext import INFOTEXT_KEY, unit_to_text
from lib_instantstyle.units.unit import NO_REFERENCE, Unit

LATENT_CHANNELS = 4  # that the UNet of SD1.5 and SDXL takes, unless it is made for inpainting
FIRST_OF_BATCH = "no reference was given, so the first picture of each batch is the reference."


@dataclass(frozen=True)
class AttentionContext:
    """What a method on self-attention works with while the sampler runs."""

    diffusion: Diffusion
    sigmas: Sequence[float]  # by timestep, 1000 of them
    unconditional: Denoiser  # with an empty prompt; its calls get no terms
    layers: Sequence[SelfAttention]
    hooks: SelfAttentionHooks


class AttentionPart(Part):
    """What one unit on self-attention does in one generation."""

    def __init__(
        self,
        unit: Unit,
        blocks: Collection[int],
        picture: Picture | None,
    ) -> None:
        """picture: the reference; None if it is the first picture of each batch."""
        hashes = {"image": picture.sha256[:HASH_LENGTH]} if picture else {}
        infotext = {INFOTEXT_KEY.format(unit.number): unit_to_text(unit, hashes)}
        super().__init__([unit], None, infotext)
        self.unit = unit
        self.picture = picture
        self.reference = torch.empty(0)  # its latent [1, 4, h, w]
        self.method: AttentionMethod | None = None
        self._blocks = blocks
        self._empty_prompt: Any = None

    @property
    def is_empty(self) -> bool:
        return False

    def for_checkpoint(self, context: Context) -> Part:
        assert self.method is not None
        part = self.method.prepare(self.all_units, context)
        part.replaced, part.problem = self.replaced, self.problem
        part.before_sample(context.p)  # the other checkpoint's VAE may make other latents
        return part

    @abstractmethod
    def size(self, p: Any) -> tuple[int, int]:
        """Width and height, in pixels, to resize the reference to; multiples of 8."""

    def before_sample(self, p: Any) -> None:
        """Encode the reference and the empty prompt."""
        if self.picture is None:
            return
        diffusion = Context(p).host.diffusion(p)
        width, height = self.size(p)
        pixels = to_pixels(self.picture.image, width, height, self.unit.crop)
        self.reference = diffusion.encode(pixels)
        self._empty_prompt = diffusion.empty_prompt(width, height)

    @contextmanager
    def hooks_installed(self, p: Any, current: Pass) -> Iterator[AttentionContext]:
        """A context with hooks on the self-attention of the unit's blocks."""
        diffusion = current.context.host.diffusion(p)
        layers = current.context.known_layers.self_attentions_in(self._blocks)
        with self_attention_hooks(current.unet, layers) as hooks:
            unconditional = current.outside_sampling(
                diffusion.unconditional_denoiser(self._empty_prompt)
            )
            try:
                yield AttentionContext(diffusion, diffusion.sigmas(), unconditional, layers, hooks)
                self.problem = self.problem or sentence_if_unreached(hooks.unreached)
            finally:
                announce("")
                self.replaced += hooks.replaced


@dataclass(frozen=True)
class ReferencePicture:
    """The reference of a unit; without a picture the first one of each batch is it."""

    picture: Picture | None


class AttentionMethod(Method):
    """A method on the self-attention of whole pictures, of which one unit at most may act.

    usual_blocks: transformer indices by id of the layout, for a unit without `blocks`.
    first_of_batch: whether the first picture of a batch may serve as the reference.
    """

    usual_blocks: ClassVar[Mapping[str, Collection[int]]]
    first_of_batch: ClassVar[bool] = False

    @abstractmethod
    def status(self, unit: Unit) -> str:
        """The status line of `unit`."""

    @abstractmethod
    def attention_part(
        self, unit: Unit, blocks: Collection[int], picture: Picture | None
    ) -> AttentionPart:
        """The part for `unit`."""

    def remarks(self, unit: Unit, p: Any) -> Iterator[str]:
        """Sentences for the user about the generation `p`."""
        return iter(())

    def describe(self, unit: Unit, context: Context) -> StatusText:
        """See Method."""
        self.blocks_of(unit, context.known_layers.layout)
        return StatusText(self.status(unit))

    def check(self, unit: Unit, context: Context, findings: Findings) -> ReferencePicture | None:
        """See Method. Returns the reference; None if the unit would act without one."""
        layers = context.layers
        if layers is not None:
            with findings.noting():
                blocks = self.blocks_of(unit, layers.layout)
                counts = layers.count_by_block()
                findings.plan.blocks = [
                    BlockPlan(block.index, block.diffusers, 1.0, False, counts[block.index])
                    for block in layers.layout.blocks
                    if block.index in blocks
                ]
        if unit.acts:  # otherwise a generation leaves it out, and nothing stands in its way
            for problem in (*_problems(unit, context), *self.problems(unit, context)):
                findings.problem(problem)
        if self.first_of_batch and not unit.image and not unit.style:
            self._check_batch(unit, context, findings)
            return ReferencePicture(None)
        is_noised = "reference_noise" in unit.declared.uses and unit.reference_noise != INVERSION
        if is_noised and unit.steps_of_inversion:
            findings.remark(
                f"steps_of_inversion does nothing, because reference_noise is "
                f"'{unit.reference_noise}'; set that to '{INVERSION}', or leave both out."
            )
        pictures: tuple[Picture, ...] = ()
        with findings.noting():
            pictures = references_of(unit, context)
        findings.plan.references = [
            ReferencePlan(*picture.size, picture.sha256, given.weight, False)
            for picture, given in zip(pictures, unit.image)
        ]
        return ReferencePicture(pictures[0]) if pictures else None

    def part(self, checked: Sequence[tuple[Unit, Any]], context: Context) -> Part:
        """See Method."""
        ((unit, reference),) = checked
        with context.about(unit.number):
            for remark in self.remarks(unit, context.p):
                context.notify(remark)
            if reference.picture is not None:
                folder = context.host.reference_folder()
                keep_files([reference.picture], folder, context.notify)
        blocks = self.blocks_of(unit, context.known_layers.layout)
        part = self.attention_part(unit, blocks, reference.picture)
        part.method = self
        return part

    def problems(self, unit: Unit, context: Context) -> Iterator[str]:
        """The problems of this method with `unit`, beside those that all have; see _problems."""
        return iter(())

    def blocks_of(self, unit: Unit, layout: Layout) -> Collection[int]:
        """The transformer indices of the blocks in whose self-attention `unit` acts.

        With `blocks` these are all blocks of a weight other than 0. Raises InstantStyleError if
        `blocks` does not fit the layout, or every weight is 0.
        """
        if not unit.blocks:
            return self.usual_blocks[layout.id]
        chosen: Collection[int] = unit.blocks.vector(layout)
        if not chosen:
            raise InstantStyleError(
                f"blocks gives every block the weight 0; {unit.method} needs one with another "
                "weight."
            )
        return chosen

    def _check_batch(self, unit: Unit, context: Context, findings: Findings) -> None:
        p = context.p
        if not getattr(context.p, "is_known", True):
            findings.remark(f"{FIRST_OF_BATCH} That takes a batch of two or more.")
        elif p.batch_size > 1:
            unit_named = "" if findings.is_dry_run else f"{unit.title}: "
            findings.remark(f"{unit_named}{FIRST_OF_BATCH}")
        else:
            with findings.noting():
                raise NoReference(NO_REFERENCE.format(unit.number))


def _problems(unit: Unit, context: Context) -> Iterator[str]:
    """The problems that every method on self-attention has with `unit`."""
    p = context.p
    if unit.crop not in ("center", "stretch"):
        yield (
            f"crop is {shorten(unit.crop)}; for {unit.method} one of 'center', 'stretch' is "
            "allowed."
        )
    if unit.mask:
        yield f"mask is given, but {unit.method} acts on the whole picture; leave it out."
    if len(unit.image) > 1:
        yield f"image has {len(unit.image)} pictures; {unit.method} takes one."
    if _takes_more_than_a_latent(context):
        yield f"{unit.method} cannot use an inpainting checkpoint; choose one for whole pictures."
    if p.get_token_merging_ratio():
        yield f"{unit.method} cannot do with token merging; set its ratio to 0."
    if getattr(p, "refiner_checkpoint_info", None) is not None:
        yield f"{unit.method} cannot change the checkpoint on its way; switch the refiner off."


def _takes_more_than_a_latent(context: Context) -> bool:
    """Whether the UNet is an inpainting one, or the like; False where that cannot be seen now."""
    with queue_lock_if_free() as free:
        if context.unet is None or not free:
            return False
        weight = context.unet.get_parameter("input_blocks.0.0.weight")
        return weight.shape[1] != LATENT_CHANNELS


def sentence_if_unreached(blocks: Sequence[str]) -> str:
    """Why the style could not be applied; "" if each of the `blocks` was reached, so that none is
    given."""
    if not blocks:
        return ""
    return (
        f"the style could not be applied, because the self-attention of {listed(blocks)} was never "
        "reached; a replaced UNet (such as TensorRT) or attention cannot be styled, switch it off."
    )


@dataclass
class ReportingDenoiser:
    """A denoiser that shows its progress on the page.

    text: what the progress is of. steps: number of calls to expect. done: calls so far.
    """

    denoiser: Denoiser
    text: str
    steps: int
    done: int = 0

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        self.done += 1
        announce(f"{self.text}, {self.done} of {self.steps}")
        result = self.denoiser(x, sigma)
        if self.done >= self.steps:  # the sampling that follows is the WebUI's to report
            announce("")
        return result


def trajectories() -> TrajectoryCache:
    """The cache of inversions of this process."""
    return SESSION.of(TrajectoryCache)
