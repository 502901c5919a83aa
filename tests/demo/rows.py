"""What the demo shows: references of the small world, prompts, and the judges of pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from tests.trained.family import State, judges_of
from tests.trained.world import LOOKS, SHAPES, SIDE, as_image, scenes

# Reference's shape and look, and the prompt's shape: always another. The second and the last look
# have one texture, in other colours.
_SHOWN = (
    ("heart", "lava", "star"),
    ("house", "candy", "cross"),
    ("star", "blueprint", "heart"),
    ("moon", "mint", "square"),
)
_SEED = 7


@dataclass(frozen=True)
class Row:
    """A reference, what it shows in words ("" if that is not known), and the prompt."""

    reference: Image.Image
    shows: str
    prompt: str
    title: str


def rows() -> list[Row]:
    shapes = [list(SHAPES).index(shape) for shape, _, _ in _SHOWN]
    looks = [list(LOOKS).index(look) for _, look, _ in _SHOWN]
    seen = scenes(np.random.default_rng(_SEED), len(_SHOWN), shapes, looks)
    return [
        Row(as_image(picture), f"a {shape}", f"a {prompt}", f"a {shape}, {look}")
        for picture, (shape, look, prompt) in zip(seen.pictures, _SHOWN, strict=True)
    ]


class Judging:
    """Two small networks that know nothing of the method nor of each other."""

    def __init__(self, weights: dict[str, State]) -> None:
        self._judges = judges_of(weights)

    @torch.no_grad()
    def verdict(self, picture: Image.Image) -> str:
        """ "star, lava": the shape and the look that a picture has; "star or heart, lava" where the
        judges do not agree."""
        small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
        pixels = torch.from_numpy(np.asarray(small, np.float32) / 127.5 - 1).permute(2, 0, 1)
        found = [[int(s.argmax()) for s in judge(pixels[None])] for judge in self._judges]
        words = (
            dict.fromkeys(list(names)[i] for i in each)
            for names, each in zip((SHAPES, LOOKS), zip(*found, strict=True), strict=True)
        )
        return ", ".join(" or ".join(each) for each in words)
