"""Paints cases with the trained files and the extension's own engine, without a WebUI around it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageStat
from torch import Tensor

from lib_instantstyle.clip.image_encoder import load_image_encoder
from lib_instantstyle.content.modes import remove_content
from lib_instantstyle.methods.ip_adapter.colour_texture import separated
from lib_instantstyle.methods.ip_adapter.features import combine
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT, row_code
from lib_instantstyle.units.choices import REMOVED_CONTENT, SEPARATED
from tests.effect.arms import Arm, Cases
from tests.effect.locked import with_lock
from tests.effect.self_attention import Guided, acting
from tests.engine import clip_pixels, inject
from tests.miniature.modules.denoisers import CompVisVDenoiser
from tests.miniature.modules.sampling import sample_euler
from tests.miniature.networks import load_checkpoint
from tests.trained.base import to_latents, to_pictures
from tests.trained.family import CHECKPOINT, ENCODER, State, judges_of, write_family
from tests.trained.world import LOOKS, SHAPES, SIDE, as_image, scenes
from tests.unit.plans import plan, terms
from tests.units import Unit, parse_unit

STEPS, CFG = 12, 4.0
_BATCH = 24


class Painter:
    """The trained models, loaded from their files."""

    def __init__(self, weights: dict[str, State], models: Path, steps: int = STEPS) -> None:
        self._steps = steps
        files = write_family(weights, models)
        catalog = scan([models])
        self.model = load_checkpoint(files[CHECKPOINT])
        self.layers = find_layers(self.model.model.diffusion_model)
        self.judges = judges_of(weights)
        self._adapters = {a.path.stem: a for a in catalog.adapters}
        encoder_file = next(t for t in catalog.image_encoders if t.path.name == files[ENCODER].name)
        self._size = encoder_file.kind.image_size
        self._encoder = load_image_encoder(
            encoder_file.path, encoder_file.kind, torch.device("cpu"), torch.float32
        )

    @torch.no_grad()
    def paint(self, arm: Arm, cases: Cases) -> Tensor:
        """Pictures [B, 3, 32, 32] in -1..1."""
        found = torch.empty(len(cases), 3, SIDE, SIDE)
        for rows in _batches(arm, cases):
            found[torch.from_numpy(rows)] = self._batch(arm, cases.part(rows))
        return found

    def _batch(self, arm: Arm, cases: Cases) -> Tensor:
        plan_of_all = self._plan(arm, cases)
        rows = tuple(row_code(kind, i) for kind in (PROMPT, NEGATIVE) for i in range(len(cases)))
        calls = itertools.count()  # one in each step
        clock = Clock(lambda call: rows, lambda: next(calls) / self._steps, self._steps)
        denoiser = self._denoiser(cases)
        with ExitStack() as stack:
            if arm.attends:
                latents = to_latents(torch.from_numpy(cases.references))  # as the VAE gives them
                of_pass = self._steps, rows, lambda: next(calls) / self._steps
                given = unit_of(arm), self.model, self.layers, denoiser
                stack.enter_context(acting(*given, latents, cases.seeds.tolist(), of_pass))
            else:
                unet = self.model.model.diffusion_model
                injection = stack.enter_context(inject(unet, self.layers, plan_of_all, clock))
                if share := unit_of(arm).layout_lock if arm.blocks else 0.0:
                    of_unet, lock = (injection, unet, self.layers), (share, self._steps)
                    denoiser = stack.enter_context(with_lock(denoiser, *of_unet, lock))
            return to_pictures(self._sample(cases, denoiser))

    def _denoiser(self, cases: Cases) -> Guided:
        """Guidance by the prompt of each case."""
        prompts = self.model.get_learned_conditioning(_prompts(cases))
        told = {key: torch.cat([t, torch.zeros_like(t)]) for key, t in prompts.items()}
        denoiser = CompVisVDenoiser(self.model)

        def guided(x: Tensor, sigma: Tensor) -> Tensor:
            both = denoiser(torch.cat([x, x]), torch.cat([sigma, sigma]), cond=told)
            prompted, unprompted = both.chunk(2)
            return unprompted + CFG * (prompted - unprompted)

        return Guided(guided)

    def _sample(self, cases: Cases, denoiser: Guided) -> Tensor:
        """Euler's method, as the WebUI samples: scaled latents [B, 4, 32, 32]."""
        sigmas = CompVisVDenoiser(self.model).get_sigmas(self._steps)
        noise = [
            torch.randn(4, SIDE, SIDE, generator=torch.Generator().manual_seed(int(seed)))
            for seed in cases.seeds
        ]
        return sample_euler(denoiser, torch.stack(noise) * sigmas[0], sigmas)

    def _plan(self, arm: Arm, cases: Cases) -> Plan:
        """Each case's reference for its own rows of the batch."""
        if not arm.blocks:
            return Plan(())
        unit = unit_of(arm)
        vectors = whole = self._of_references(arm, cases)
        if arm.names_content:
            texts = self.text_vectors([list(SHAPES)[i] for i in cases.reference_shapes])
            vectors = torch.stack(
                [
                    remove_content(
                        vector, [text], unit.content_scale, unit.content_mode, unit.content_share
                    )
                    for vector, text in zip(vectors, texts, strict=True)
                ]
            )
        adapter = self._adapters[arm.adapter]
        guided = unit.attention_guidance and unit.guidance_from == REMOVED_CONTENT
        removed = whole - vectors if guided else None
        negative = self._drawing(cases.reference_shapes[0]) if arm.draws_content else None
        if unit.negative_content:
            negative = (whole - vectors)[0]  # what a difference takes out is alike for all
        given = self.layers, adapter.path, adapter.kind, unit, vectors
        return plan(terms(*given, removed=removed, negative=negative))

    def _drawing(self, shape: int) -> Tensor:
        """CLIP's vector [E] of that shape in black on paper: what a user would draw."""
        drawn = scenes(np.random.default_rng(0), 1, [shape], [list(LOOKS).index("paper")])
        return self.vectors(drawn.pictures)[0]

    def _of_references(self, arm: Arm, cases: Cases) -> Tensor:
        """One image vector for each case, [B, E]."""
        if cases.seconds is None:
            return self.vectors(cases.references)
        first, second = self.vectors(cases.references), self.vectors(cases.seconds)
        if arm.together not in SEPARATED:
            pairs = zip(first, second, strict=True)
            return torch.stack([combine(pair, arm.together) for pair in pairs])
        unit = parse_unit({"image": ["colour", "texture"], "combine": arm.together})
        views = [first, *(self._of(cases, copied) for copied in _COPIES)]
        each = zip(*views, strict=True)
        return torch.stack([separated(unit, of_case, [1.0, 1.0]) for of_case in each])

    def _of(self, cases: Cases, copied: _Copied) -> Tensor:
        pictures = cases.references if copied.of_first else cases.seconds
        assert pictures is not None
        pixels = [clip_pixels(copied.made(as_image(each)), self._size) for each in pictures]
        return self._encoder(torch.cat(pixels))

    def vectors(self, pictures: np.ndarray) -> Tensor:
        """CLIP's image vectors [B, E] of the world's pictures, enlarged as a WebUI shows them."""
        pixels = [clip_pixels(as_image(picture), self._size) for picture in pictures]
        return self._encoder(torch.cat(pixels))

    def text_vectors(self, texts: list[str]) -> Tensor:
        """[n, E], by the checkpoint's own text encoder."""
        return self.model.conditioner.embedders[1](texts)[1]


def _batches(arm: Arm, cases: Cases) -> list[NDArray[np.int64]]:
    """Numbers of the cases that are made at once: a UNet call has one negative image."""
    rows = np.arange(len(cases))
    kinds = [rows]
    if arm.is_of_one_shape:
        kinds = [rows[cases.reference_shapes == shape] for shape in set(cases.reference_shapes)]
    return [kind[i : i + _BATCH] for kind in kinds for i in range(0, len(kind), _BATCH)]


def _prompts(cases: Cases) -> list[str]:
    shapes, looks = list(SHAPES), list(LOOKS)
    if cases.named is None:
        return [f"a {shapes[i]}" for i in cases.shapes]
    return [f"a {shapes[i]}, {looks[k]}" for i, k in zip(cases.shapes, cases.named, strict=True)]


def _grey(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


def _flat(image: Image.Image) -> Image.Image:
    mean = round(ImageStat.Stat(image.convert("L")).mean[0])
    return Image.new("RGB", image.size, (mean,) * 3)


class _Copied(NamedTuple):
    """A copy of the first or the second reference that colours and texture are told from."""

    of_first: bool
    made: Callable[[Image.Image], Image.Image]


_COPIES = (_Copied(True, _grey), _Copied(False, _grey), _Copied(False, _flat))


def unit_of(arm: Arm) -> Unit:
    """The unit that a request for this arm holds."""
    blocks = {str(index): weight for index, weight in arm.blocks.items()}
    if arm.attends:
        return parse_unit({"image": "one", "blocks": blocks or "", **arm.fields})
    each = {"image": ["one", "each"], "combine": "each"}
    return parse_unit({**each, "blocks": blocks, **arm.fields})
