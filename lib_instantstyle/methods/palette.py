"""The palette of a reference, with any method or none.

In a window of the sampling the picture that the model predicts gets the colours of a reference:
its latent is whitened and coloured over its channels, damped as in SADis (NeurIPS 2025, arXiv
2503.14275, `util/wct.py`). There the noisy latent of the sampler is changed, and the reference's
gets noise; here it is the predicted picture, so that nothing of the sampler's state is touched and
no random number is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.model_calls import (
    Change,
    ModelCall,
    around_model_calls,
    inpainted_area,
)
from lib_instantstyle.methods.base import Findings, Part, Pass, naming
from lib_instantstyle.methods.recolouring import (
    Colours,
    Window,
    colours,
    in_words,
    pooled,
    recoloured,
)
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.references.store import keep_files
from lib_instantstyle.references.unit_pictures import pictures_of
from lib_instantstyle.unet.inversion import to_pixels
from lib_instantstyle.unet.masks import Box, Mask, mask_of
from lib_instantstyle.units.choices import BASE, EACH, HIRES
from lib_instantstyle.units.infotext import INFOTEXT_KEY, PALETTE_KEY, unit_to_text
from lib_instantstyle.units.unit import Unit

_MULTIPLE = 64  # of a reference's sides in pixels, which every VAE can halve


@dataclass(frozen=True)
class Source:
    """A unit with the pictures whose colours it takes."""

    unit: Unit
    pictures: Sequence[Picture]
    reference_mask: Mask | None
    mask: Mask | None
    hashes: Mapping[str, str] = field(default_factory=dict)  # of all its pictures, by field
    kept: Sequence[Picture] = ()  # all of them, whose files are kept


def check_palette(unit: Unit, context: Context, findings: Findings) -> Source | None:
    """The source of the palette of `unit`; problems are noted in `findings`."""
    if unit.style or not unit.image:
        why = f"style {shorten(unit.style)} does not hold it" if unit.style else "none is given"
        findings.problem(
            f"palette is {unit.palette:g}, which needs the reference picture itself, and {why}; "
            "give image, or set palette to 0."
        )
        return None
    with findings.noting():
        given = pictures_of(unit, context)
        marked = given.reference_mask
        mask = None if marked is None else mask_of(marked.image, "reference_mask")
        return Source(unit, given.references, mask, given.mask, given.hashes, given.all)
    return None


class PalettePart(Part):
    """What the palettes of all units do in one generation."""

    title = "palette"

    def __init__(self, sources: Sequence[Source]) -> None:
        infotext = {
            INFOTEXT_KEY.format(s.unit.number): unit_to_text(s.unit, s.hashes) for s in sources
        }
        super().__init__([source.unit for source in sources], None, infotext)
        self._sources = tuple(sources)
        self._wanted: list[Colours] = []  # by source; of its n references, or of all as one
        self._steps: dict[int, list[str]] = {}  # by number of the unit, a text for each pass

    @property
    def is_empty(self) -> bool:
        return False

    @property
    def measured(self) -> dict[str, str]:
        found = self._steps.items()
        return {PALETTE_KEY.format(number): "; ".join(texts) for number, texts in found}

    def before_sample(self, p: Any) -> None:
        """Encode the references with the VAE, in about the size of the picture to come."""
        self._steps = {}
        self._encode(p)

    def for_checkpoint(self, context: Context) -> Part:
        self._encode(context.p)  # the other checkpoint's VAE may make other latents
        return self

    def _encode(self, p: Any) -> None:
        diffusion = Context(p).host.diffusion(p)
        self._wanted = []
        for source in self._sources:
            parts = []
            for picture in source.pictures:
                width, height = _size(picture.size, p.width * p.height)
                latent = diffusion.encode(to_pixels(picture.image, width, height, "stretch"))
                parts.append(colours(latent, _on_grid(source.reference_mask, latent)))
            if source.unit.combine == EACH:
                means = torch.cat([part.mean for part in parts])
                covariances = torch.cat([part.covariance for part in parts])
                self._wanted.append(Colours(means, covariances))
            else:
                weights = [given.weight for given in source.unit.image]
                self._wanted.append(pooled(parts, weights))

    @contextmanager
    def around_sampling(self, p: Any, current: Pass) -> Iterator[None]:
        left_out = BASE if current.is_hires else HIRES
        acting = [
            (source, wanted)
            for source, wanted in zip(self._sources, self._wanted, strict=True)
            if source.unit.hires_pass != left_out
        ]
        if not acting:
            yield
            return
        window = Window(current.steps)
        region = current.context.host.region(p)

        def change(predicted: Tensor) -> Tensor:
            found = moved(predicted, acting, inpainted_area(p), region)
            if current.spares_first:
                found = torch.cat([predicted[:1], found[1:]])
            return found

        def enter(call: ModelCall, exits: ExitStack) -> Change | None:
            if not window.holds(call.fraction):
                return None
            self.replaced += 1
            return change

        sigmas = current.context.host.diffusion(p).sigmas()
        with torch.no_grad(), around_model_calls(p, current.fraction, sigmas, enter):
            yield
        if window.acted:
            where = "hires fix " if current.is_hires else ""
            for source, _ in acting:
                texts = self._steps.setdefault(source.unit.number, [])
                texts.append(where + in_words(window.acted, current.steps))


def moved(
    predicted: Tensor,
    acting: Sequence[tuple[Source, Colours]],
    area: Tensor | None = None,
    region: Box | None = None,
) -> Tensor:
    """The pictures [B, C, h, w] with the palettes of all sources, whatever their order.

    area: [1, 1, h, w], what inpainting changes; elsewhere nothing changes or counts. region: the
    part of the whole picture that is sampled. Where shares add up to more than 1, they are divided
    by their sum.
    """
    x = predicted.float()
    change, total = torch.zeros_like(x), torch.zeros_like(x[:1, :1])
    for source, wanted in acting:
        mask = source.mask.within(region) if source.mask and region else source.mask
        where = _on_grid(mask, x)
        if area is not None:
            where = area.to(x) if where is None else where * area.to(x)
        if where is not None and float(where.sum()) < 2:  # cells: too few to have a covariance
            continue
        share = source.unit.palette * (torch.ones_like(total) if where is None else where)
        change = change + share * (recoloured(x, _for_images(wanted, len(x)), where) - x)
        total = total + share
    return (x + change / total.clamp_min(1)).to(predicted)


def _for_images(wanted: Colours, count: int) -> Colours:
    """One for each of `count` images, going round."""
    if len(wanted.mean) == 1:
        return wanted
    rows = torch.arange(count) % len(wanted.mean)
    return Colours(wanted.mean[rows], wanted.covariance[rows])


def _on_grid(mask: Mask | None, latents: Tensor) -> Tensor | None:
    """[1, 1, h, w]; None for the whole picture."""
    if mask is None:
        return None
    height, width = latents.shape[-2:]
    cells = mask.on_grid(height, width, latents.device, torch.float32)
    return cells.reshape(1, 1, height, width)


def _size(size: tuple[int, int], area: int) -> tuple[int, int]:
    """Width and height in pixels of about `area` with the proportions of `size`."""
    scale = min((area / (size[0] * size[1])) ** 0.5, 1.0)
    width, height = (max(round(side * scale / _MULTIPLE), 1) * _MULTIPLE for side in size)
    return width, height


def palette_part(units: Sequence[Unit], context: Context) -> PalettePart:
    """The part of the `units` that have a palette. Raises InstantStyleError, naming the unit."""
    sources = []
    for unit in units:
        with naming(unit, context):
            source = check_palette(unit, context, Findings(unit))
            if source is None:
                raise InstantStyleError("its palette has no reference.")
            sources.append(source)
            keep_files(source.kept, context.host.reference_folder(), context.notify)
    return PalettePart(sources)
