"""What the demo shows: references of the small world, prompts, and a judge of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from tests.trained.family import State, judge_of
from tests.trained.world import LOOKS, SHAPES, SIDE, as_image, scenes

# Looks that differ in colours and in pattern; every prompt names another shape than the reference.
_SHOWN = (("heart", "lava", "star"), ("square", "candy", "cross"), ("star", "blueprint", "heart"))
_SEED = 7


@dataclass(frozen=True)
class Row:
    """A reference, what it shows in words ("" if that is not known), and the prompt."""

    reference: Image.Image
    shows: str
    prompt: str
    title: str


def rows() -> list[Row]:
    shapes, looks = ([list(known).index(name) for name in names] for known, names in _known())
    seen = scenes(np.random.default_rng(_SEED), len(_SHOWN), shapes, looks)
    return [
        Row(as_image(picture), f"a {shape}", f"a {prompt}", f"a {shape}, {look}")
        for picture, (shape, look, prompt) in zip(seen.pictures, _SHOWN, strict=True)
    ]


def _known() -> list[tuple[Mapping[str, object], tuple[str, ...]]]:
    shapes, looks, _ = zip(*_SHOWN, strict=True)
    return [(SHAPES, shapes), (LOOKS, looks)]


class Judging:
    """Two small networks that know nothing of the method."""

    def __init__(self, weights: dict[str, State]) -> None:
        self._judge = judge_of(weights)

    @torch.no_grad()
    def verdict(self, picture: Image.Image) -> str:
        """ "star, lava": the shape and the look that a picture has."""
        small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
        pixels = torch.from_numpy(np.asarray(small, np.float32) / 127.5 - 1).permute(2, 0, 1)
        shape, look = (int(scores.argmax()) for scores in self._judge(pixels[None]))
        return f"{list(SHAPES)[shape]}, {list(LOOKS)[look]}"
