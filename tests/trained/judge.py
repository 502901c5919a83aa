"""Who says which shape and which look a picture has: two small networks of their own."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .course import Course, Loss, device_of
from .world import BEYOND, LOOKS, SHAPES, scenes

COURSE = Course("judge", steps=1200, batch=48, rate=2e-3, mean_of=200)


class Judge(nn.Module):
    """Pictures [B, 3, 32, 32] in -1..1 -> scores of shapes and of looks [B, 12] each."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes = _network(len(SHAPES))
        self.looks = _network(len(LOOKS))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return self.shapes(pictures), self.looks(pictures)


def _network(classes: int, width: int = 24) -> nn.Sequential:
    def halve(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(4, b), nn.ReLU()]

    return nn.Sequential(
        *halve(3, width),
        *halve(width, 2 * width),
        *halve(2 * width, 2 * width),
        nn.Flatten(),
        nn.Linear(2 * width * 16, classes),
    )


def spoiled(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """With a little noise and a shifted contrast, as painted pictures have them."""
    amount = torch.rand(len(pictures), 1, 1, 1, generator=generator) * 0.3
    contrast = 0.7 + 0.6 * torch.rand(len(pictures), 1, 1, 1, generator=generator)
    return pictures * contrast + torch.randn(pictures.shape, generator=generator) * amount


def make_loss(course: Course) -> Loss:
    """Both judges at once; the one of shapes sees figures on other looks' grounds too."""

    def loss(network: nn.Module, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
        grounds = rng.integers(len(LOOKS), size=course.batch)
        mixed = scenes(rng, course.batch, grounds=grounds, furthest=BEYOND)
        pure = scenes(rng, course.batch, furthest=BEYOND)
        device = device_of(network)
        shapes, _ = network(spoiled(torch.from_numpy(mixed.pictures), generator).to(device))
        _, looks = network(spoiled(torch.from_numpy(pure.pictures), generator).to(device))
        right_shapes = torch.from_numpy(mixed.shapes).to(device)
        right_looks = torch.from_numpy(pure.looks).to(device)
        return F.cross_entropy(shapes, right_shapes) + F.cross_entropy(looks, right_looks)

    return loss
