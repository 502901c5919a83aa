"""How far the study is: what the judge says of new pictures, and a sheet to look at."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .attention import training_attention
from .base import to_pictures
from .captions import caption_number
from .clip import LOOK_TEXTS, SHAPE_TEXTS, TEXTS
from .sampling import sample
from .stages import Study
from .world import SHAPES, scenes

_ENLARGED = 4


@torch.no_grad()
def measure(study: Study, count: int = 96, seed: int = 1) -> dict[str, float]:
    """Shares that are right: the judge's on the world itself, the image tower's, and the shape in
    pictures that the base painted from "a {shape}"."""
    seen = scenes(np.random.default_rng(seed), count)
    pictures = torch.from_numpy(seen.pictures).to(study.device)
    shapes, looks = torch.from_numpy(seen.shapes), torch.from_numpy(seen.looks)

    def right(scores: Tensor, answers: Tensor) -> float:
        return float((scores.argmax(1).cpu() == answers).float().mean())

    judged = study.mean("judge")(pictures)
    texts = F.normalize(study.mean("text")(list(TEXTS)), dim=1)
    cosines = study.mean("image")(pictures) @ texts.T
    painted, prompted = painted_shapes(study, count // len(SHAPES), seed)
    return {
        "judge: shape": right(judged[0], shapes),
        "judge: look": right(judged[1], looks),
        "image tower: shape": right(cosines[:, SHAPE_TEXTS], shapes),
        "image tower: look": right(cosines[:, LOOK_TEXTS], looks),
        "base: prompted shape": right(study.mean("judge")(painted)[0], prompted),
    }


@torch.no_grad()
def painted_shapes(study: Study, each: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures of "a {shape}", `each` of every shape, and the shapes by number."""
    shapes = torch.arange(len(SHAPES)).repeat(each)
    numbers = torch.tensor([caption_number(int(shape), None) for shape in shapes])
    with training_attention():
        latents = sample(study.mean("details"), study.prompts(), numbers, seed)
    return to_pictures(latents), shapes


def picture_sheet(study: Study, rows: int = 6, seed: int = 1) -> Image.Image:
    """Painted pictures, one column for each shape."""
    pictures, _ = painted_shapes(study, rows, seed)
    return grid(pictures, len(SHAPES))


def grid(pictures: Tensor, columns: int) -> Image.Image:
    """Pictures [B, 3, 32, 32] in -1..1, row by row."""
    rows = pictures.unflatten(0, (-1, columns)).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    levels = ((rows + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()
    image = Image.fromarray(levels)
    size = (image.width * _ENLARGED, image.height * _ENLARGED)
    return image.resize(size, Image.Resampling.NEAREST)
