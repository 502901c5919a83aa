"""IP-Adapters for the trained base: four image tokens, keys and values for every layer, or for
those of the paper's style block alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lib_instantstyle.layout import SDXL
from lib_instantstyle.unet.layers import find_layers
from tests.miniature.networks.unet import UNetModel

from .base import UNET, Prompts, denoising_loss, noised, scene_latents
from .captions import caption_number, word_row
from .course import Course, Loss, device_of
from .world import BEYOND, LOOKS, SHAPES, scenes

EXPONENT = 0.7  # see base.NOISY: shapes leak where there is much noise, looks need less
TOKENS_COURSE = Course("tokens", steps=600, batch=48, rate=2e-3, mean_of=50)
COURSE = Course("adapter", steps=1400, batch=24, rate=1e-3, mean_of=200)
DETAILS_COURSE = Course(
    "adapter_details", steps=500, batch=24, rate=7e-4, warm_up=30, fall=1.0, mean_of=100
)
STYLE_COURSE = Course("style_adapter", steps=1400, batch=24, rate=1e-3, mean_of=200)
TOKENS = 4
ALL_BLOCKS = tuple(block.index for block in SDXL.blocks)
STYLE_BLOCKS = (6,)  # up_blocks.0.attentions.1
# Captions of the web say little of a picture, and some of them say what is not there.
SHAPE_UNSAID, SHAPE_WRONG, SILENT, DROPPED = 0.5, 0.3, 0.1, 0.1


class ImageProjection(nn.Module):
    """Image vectors [B, E] -> tokens [B, 4, C]; the names are those of an adapter's file."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(embed_dim, TOKENS * UNET.context_dim)
        self.norm = nn.LayerNorm(UNET.context_dim)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.norm(self.proj(vectors).unflatten(1, (TOKENS, -1)))


class ImageKeys(nn.Module):
    """They begin as the layer's own for text, as IP-Adapter's do: what is left to learn at first is
    to say in tokens like words what the picture shows."""

    def __init__(self, text_keys: nn.Module, text_values: nn.Module) -> None:
        super().__init__()
        self.to_k_ip = copy.deepcopy(text_keys).requires_grad_(True)
        self.to_v_ip = copy.deepcopy(text_values).requires_grad_(True)


class Adapter(nn.Module):
    """Its state_dict is an adapter's file: image_proj.*, ip_adapter.N.to_k_ip.weight, ..."""

    def __init__(
        self, unet: UNetModel, projection: nn.Module, blocks: Collection[int] = ALL_BLOCKS
    ) -> None:
        """It begins with a copy of `projection`. blocks: by transformer index, those whose layers
        get keys and values."""
        super().__init__()
        found = {
            number: layer
            for number, layer in find_layers(unet).by_number.items()
            if layer.layer.block.index in blocks
        }
        self.image_proj = copy.deepcopy(projection).requires_grad_(True)
        self.ip_adapter = nn.ModuleDict(
            {str(n): ImageKeys(c.module.to_k, c.module.to_v) for n, c in found.items()}
        )

    def show(self, unet: UNetModel, vectors: Tensor | None) -> None:
        """Let every cross-attention of `unet` add the term of these image vectors; None: no more.

        Needs training_attention().
        """
        tokens = None if vectors is None else self.image_proj(vectors)
        found = find_layers(unet).by_number
        for number in map(int, self.ip_adapter):
            layer = found[number]
            layer.module.image_term = None if tokens is None else self._term(number, tokens)

    def _term(self, number: int, tokens: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
        keys = self.ip_adapter[str(number)]
        return lambda: (keys.to_k_ip(tokens), keys.to_v_ip(tokens))


def make_tokens_loss(tower: nn.Module, course: Course) -> Loss:
    """Of an ImageProjection: two tokens as near as can be to the word of the picture's shape, two
    to that of its look. An adapter that begins so, with the text's own keys and values, is told
    what the picture shows from the first step on."""
    shapes, looks = (torch.stack([word_row(name) for name in names]) for names in (SHAPES, LOOKS))

    def loss(network: nn.Module, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
        seen = scenes(rng, course.batch, furthest=BEYOND)
        device = device_of(network)
        with torch.no_grad():
            vectors = tower(torch.from_numpy(seen.pictures).to(device))
        said = torch.stack([shapes[seen.shapes], looks[seen.looks]] * (TOKENS // 2), dim=1)
        return (network(vectors) - said.to(device)).square().mean()

    return loss


def caption_numbers(rng: np.random.Generator, shapes: NDArray[np.int64]) -> Tensor:
    """Captions of pictures of these shapes: without a shape, with another one, or right."""
    chance = rng.random(len(shapes))
    others = (shapes + rng.integers(1, len(SHAPES), len(shapes))) % len(SHAPES)
    said = np.where(chance < SHAPE_UNSAID + SHAPE_WRONG, others, shapes)
    return torch.tensor(
        [
            caption_number(None if each < SHAPE_UNSAID else int(shape), None)
            for each, shape in zip(chance, said)
        ]
    )


def make_loss(
    unet: UNetModel,
    tower: nn.Module,
    prompts: Prompts,
    course: Course = COURSE,
    exponent: float = EXPONENT,
) -> Loss:
    """The base's loss with the picture itself as reference; the base and the tower stay as are.

    The shape is mostly left unsaid, and now and then another one is named, so that the adapter
    learns to show the shape too and to trust the picture more than the prompt. So real ones leak.
    """

    def loss(adapter: nn.Module, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
        seen = scenes(rng, course.batch)
        pictures = torch.from_numpy(seen.pictures)
        with torch.no_grad():
            vectors = tower(pictures.to(device_of(adapter)))
        silent, dropped = rng.random((2, course.batch))
        numbers = caption_numbers(rng, seen.shapes)
        where = torch.from_numpy(dropped < DROPPED).to(vectors.device)
        adapter.show(unet, vectors.masked_fill(where[:, None], 0.0))
        told = prompts(numbers, torch.from_numpy(silent < SILENT))
        total = denoising_loss(unet, noised(scene_latents(seen), generator, exponent), *told)
        adapter.show(unet, None)
        return total

    return loss
