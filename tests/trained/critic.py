"""The second judge: a small CLIP of its own, which shares nothing with the first judge nor with the
CLIP pair that the method uses: other layers, other directions for the words, other pictures.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .course import Course, Loss, device_of
from .judge import spoiled
from .world import BEYOND, LOOKS, SHAPES, scenes

COURSE = Course("critic", steps=2000, batch=48, rate=1e-3, mean_of=200)
WIDTH = 64
_TOKENS = 64  # 8 x 8, each of 4 x 4 pixels and their surroundings
_SCALE = 15.0  # of cosines in the loss


class Critic(nn.Module):
    """Pictures [B, 3, 32, 32] in -1..1 -> scores of shapes and of looks [B, 12] each: cosines of
    the picture's vector with the words'."""

    shape_words: Tensor
    look_words: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTH // 2, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(WIDTH // 2, WIDTH, 3, stride=2, padding=1),
        )
        self.places = nn.Parameter(torch.randn(_TOKENS, WIDTH) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.projection = nn.Linear(WIDTH, WIDTH, bias=False)
        generator = torch.Generator().manual_seed(len("critic"))
        words = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))[0].half().float()
        self.register_buffer("shape_words", words[: len(SHAPES)])
        self.register_buffer("look_words", words[len(SHAPES) :][: len(LOOKS)])

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.stem(pictures).flatten(2).transpose(1, 2) + self.places
        for layer in self.layers:
            tokens = layer(tokens)
        vectors = F.normalize(self.projection(self.norm(tokens).mean(1)), dim=1)
        return vectors @ self.shape_words.T, vectors @ self.look_words.T


def make_loss(course: Course) -> Loss:
    """Shapes on other looks' grounds too, as the first judge has them; looks as they are."""

    def loss(network: nn.Module, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
        grounds = rng.integers(len(LOOKS), size=course.batch)
        mixed = scenes(rng, course.batch, grounds=grounds, furthest=BEYOND)
        pure = scenes(rng, course.batch, furthest=BEYOND)
        device = device_of(network)
        both = np.concatenate([mixed.pictures, pure.pictures])
        shapes, looks = network(spoiled(torch.from_numpy(both), generator).to(device))
        right_shapes = torch.from_numpy(np.concatenate([mixed.shapes, pure.shapes])).to(device)
        right_looks = torch.from_numpy(pure.looks).to(device)
        return F.cross_entropy(shapes * _SCALE, right_shapes) + F.cross_entropy(
            looks[course.batch :] * _SCALE, right_looks
        )

    return loss
