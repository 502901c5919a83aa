"""An IP-Adapter for the trained base: four image tokens, keys and values for every layer."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from lib_instantstyle.unet.layers import find_layers
from tests.miniature.networks.unet import UNetModel

from .base import UNET, Prompts, denoising_loss, noised, to_latents
from .captions import caption_number
from .course import Course, Loss, device_of
from .world import scenes

COURSE = Course("adapter", steps=1200, batch=24, rate=1e-3, mean_of=200)
TOKENS = 4
SHAPE_UNSAID, SILENT, DROPPED = 0.4, 0.1, 0.1


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

    def __init__(self, unet: UNetModel, embed_dim: int = 256) -> None:
        super().__init__()
        found = find_layers(unet).by_number
        self.image_proj = ImageProjection(embed_dim)
        self.ip_adapter = nn.ModuleDict(
            {str(n): ImageKeys(c.module.to_k, c.module.to_v) for n, c in found.items()}
        )

    def show(self, unet: UNetModel, vectors: Tensor | None) -> None:
        """Let every cross-attention of `unet` add the term of these image vectors; None: no more.

        Needs training_attention().
        """
        tokens = None if vectors is None else self.image_proj(vectors)
        for number, layer in find_layers(unet).by_number.items():
            layer.module.image_term = None if tokens is None else self._term(number, tokens)

    def _term(self, number: int, tokens: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
        keys = self.ip_adapter[str(number)]
        return lambda: (keys.to_k_ip(tokens), keys.to_v_ip(tokens))


def make_loss(unet: UNetModel, tower: nn.Module, prompts: Prompts, course: Course = COURSE) -> Loss:
    """The base's loss with the picture itself as reference; the base and the tower stay as are.

    The shape is often left unsaid, so that the adapter learns to show it too: an adapter that
    knows looks only would have nothing to leak.
    """

    def loss(adapter: nn.Module, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
        seen = scenes(rng, course.batch)
        pictures = torch.from_numpy(seen.pictures)
        with torch.no_grad():
            vectors = tower(pictures.to(device_of(adapter)))
        unsaid, silent, dropped = rng.random((3, course.batch))
        numbers = torch.tensor(
            [
                caption_number(None if missing else shape, None)
                for shape, missing in zip(seen.shapes, unsaid < SHAPE_UNSAID)
            ]
        )
        where = torch.from_numpy(dropped < DROPPED).to(vectors.device)
        adapter.show(unet, vectors.masked_fill(where[:, None], 0.0))
        told = prompts(numbers, torch.from_numpy(silent < SILENT))
        total = denoising_loss(unet, noised(to_latents(pictures), generator), *told)
        adapter.show(unet, None)
        return total

    return loss
