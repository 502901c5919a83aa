"""What the methods on self-attention have in common: StyleID, StyleAligned, swapping."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from lib_instantstyle import hosts
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.hosts.diffusion import Diffusion, announce
from lib_instantstyle.layout import Layout
from lib_instantstyle.methods import STYLE_ALIGNED, STYLEID, SWAP
from lib_instantstyle.methods.shared_features import SHARED_BLOCKS, SWAPPED_BLOCKS
from lib_instantstyle.methods.styleid.algorithm import DEFAULT_BLOCKS
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.references.unit_pictures import HASH_LENGTH
from lib_instantstyle.unet.attention_hook import Rows
from lib_instantstyle.unet.inversion import Denoiser, to_pixels
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.self_attention import (
    SelfAttention,
    SelfAttentionHooks,
    find_self_attention,
    self_attention_hooks,
)
from lib_instantstyle.unet.trajectory_cache import TrajectoryCache
from lib_instantstyle.units.infotext import INFOTEXT_KEY, unit_to_text
from lib_instantstyle.units.unit import Unit

trajectories = TrajectoryCache()
FIRST_OF_BATCH = "no reference was given, so the first picture of each batch is the reference."


_USUAL_BLOCKS: Mapping[str, Mapping[str, Collection[int]]] = {
    STYLEID.name: DEFAULT_BLOCKS,
    STYLE_ALIGNED.name: SHARED_BLOCKS,
    SWAP.name: SWAPPED_BLOCKS,
}


class Pass(Protocol):
    """The run of the sampler under way."""

    @property
    def rows(self) -> Rows | None:
        """Codes of the rows of the UNet call under way (see unet/rows.py)."""

    def aside(self, denoiser: Denoiser) -> Denoiser:
        """`denoiser` with UNet calls that are no part of the sampling."""


@dataclass(frozen=True)
class Scene:
    """What a method works with while the sampler runs."""

    diffusion: Diffusion
    sigmas: Sequence[float]  # of the 1000 timesteps
    asking: Denoiser  # the UNet without prompt, apart from the sampling
    layers: Sequence[SelfAttention]
    hooks: SelfAttentionHooks


class AttentionMethod(ABC):
    """One unit in one generation; it hangs on `p` with the rest of the run."""

    tells_images_apart = False  # whether `Pass.rows` must name the image of each row

    def __init__(self, unit: Unit, picture: Picture | None, comments: Sequence[str]) -> None:
        """picture: None where the first picture of each batch is the reference."""
        self.unit = unit
        self.picture = picture
        self.comments = comments  # what the user should be told beside the picture
        self.replaced = 0  # how often something in the UNet was replaced
        self.reference = torch.empty(0)  # its latent
        self._empty_prompt: Any = None

    @property
    def infotext(self) -> dict[str, str]:
        hashes = {"image": self.picture.sha256[:HASH_LENGTH]} if self.picture else {}
        return {INFOTEXT_KEY.format(self.unit.number): unit_to_text(self.unit, hashes)}

    def listen(self, p: Any) -> None:  # noqa: B027  # most have nothing to hear
        """See what the next `p.init` makes of the picture to change."""

    @abstractmethod
    def size(self, p: Any) -> tuple[int, int]:
        """Width and height in pixels to which the reference is brought, multiples of 8."""

    def encode(self, p: Any) -> None:
        """Encode the reference and the empty prompt; before the UNet is needed."""
        if self.picture is None:
            return
        diffusion = hosts.current(p).diffusion(p)
        width, height = self.size(p)
        pixels = to_pixels(self.picture.image, width, height, self.unit.crop)
        self.reference = diffusion.encode(pixels)
        self._empty_prompt = diffusion.empty_prompt(width, height)

    @abstractmethod
    def holding(
        self, p: Any, unet: torch.nn.Module, steps: int, current: Pass
    ) -> AbstractContextManager[None]:
        """Replace what flows through self-attention while the sampler runs in this block.

        steps: that this pass executes.
        """

    @contextmanager
    def standing(self, p: Any, unet: torch.nn.Module, current: Pass) -> Iterator[Scene]:
        """Hooks on the unit's layers for the length of a `with` block."""
        diffusion = hosts.current(p).diffusion(p)
        layers = find_self_attention(unet, blocks_of(self.unit, find_layers(unet).layout))
        with self_attention_hooks(unet, layers) as hooks:
            asking = current.aside(diffusion.asking(self._empty_prompt))
            try:
                yield Scene(diffusion, diffusion.sigmas(), asking, layers, hooks)
            finally:
                announce("")
                self.replaced += hooks.replaced


@dataclass
class Told:
    """A denoiser that says how far the inversion has come."""

    denoiser: Denoiser
    text: str
    steps: int
    done: int = 0

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        self.done += 1
        announce(f"{self.text}, {self.done} of {self.steps}")
        return self.denoiser(x, sigma)


def takes_first_of_batch(unit: Unit) -> bool:
    """Whether the first picture of each batch is the reference of `unit`."""
    return unit.method in (STYLE_ALIGNED.name, SWAP.name) and not unit.image and not unit.style


def blocks_of(unit: Unit, layout: Layout) -> Collection[int]:
    """Transformer indices of the blocks in whose self-attention `unit` works.

    Its own are those that `blocks` gives any weight but 0. Raises InstantStyleError where `blocks`
    does not fit the layout, or leaves none.
    """
    if not unit.blocks:
        return _USUAL_BLOCKS[unit.method][layout.id]
    chosen: Collection[int] = unit.blocks.vector(layout)
    if not chosen:
        raise InstantStyleError(
            f"blocks gives every block the weight 0; {unit.method} needs one with another weight."
        )
    return chosen


class Generation(Protocol):
    """What of the generation that is asked for matters to these methods: `p`, or a plan's idea."""

    @property
    def batch_size(self) -> int: ...

    @property
    def refiner_checkpoint_info(self) -> object | None: ...

    def get_token_merging_ratio(self) -> float: ...


def problems_of(unit: Unit, p: Generation, unet: torch.nn.Module | None) -> Iterator[str]:
    """What none of these methods can do. unet: None where it is not in memory."""
    if unit.crop not in ("center", "stretch"):
        yield (
            f"crop is {shorten(unit.crop)}; for {unit.method} one of 'center', 'stretch' is "
            "allowed."
        )
    if unit.mask:
        yield f"mask is given, but {unit.method} acts on the whole picture; leave it out."
    if len(unit.image) > 1:
        yield f"image has {len(unit.image)} pictures; {unit.method} takes one."
    if unet is not None and unet.get_parameter("input_blocks.0.0.weight").shape[1] != 4:
        yield f"{unit.method} cannot use an inpainting checkpoint; choose one for whole pictures."
    if p.get_token_merging_ratio():
        yield f"{unit.method} cannot do with token merging; set its ratio to 0."
    if getattr(p, "refiner_checkpoint_info", None) is not None:
        yield f"{unit.method} cannot change the checkpoint on its way; switch the refiner off."
