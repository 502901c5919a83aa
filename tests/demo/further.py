"""Two more rows of the demo: a prompt that names a look, and colours apart from texture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from lib_instantstyle.layout import SDXL
from lib_instantstyle.units.choices import ADAIN, COLOUR_TEXTURE
from lib_instantstyle.units.presets import PRESETS
from tests.effect.summary import Summary
from tests.miniature.harness import to_base64
from tests.trained.world import LOOKS, SHAPES, as_image, scenes

_SEED = 8
_EVERYWHERE = tuple(PRESETS["original"].vector(SDXL))


@dataclass(frozen=True)
class Cell:
    """A picture of a row: generated with `unit` where there is a prompt, else `picture` itself.

    blocks: those that must receive something, by transformer index.
    """

    title: str
    prompt: str = ""
    unit: dict[str, Any] | None = None
    blocks: tuple[int, ...] = ()
    picture: Image.Image | None = None


def further_rows(measured: Summary) -> list[tuple[str, list[Cell]]]:
    """Rows with their titles."""
    return [
        ("a prompt that names a look, beside a reference that shows another", _named_look()),
        ("colours of one reference, texture of another", _two_references(measured.style)),
    ]


def _drawing(shape: str, look: str) -> Image.Image:
    numbers = [list(SHAPES).index(shape)], [list(LOOKS).index(look)]
    return as_image(scenes(np.random.default_rng(_SEED), 1, *numbers).pictures[0])


def _named_look() -> list[Cell]:
    """Mint and candy differ in their colours alone."""
    prompt, reference = "a square, mint", _drawing("circle", "candy")
    unit = {"image": to_base64(reference), "preset": "original"}
    return [
        Cell("extension off", prompt),
        Cell("all blocks", prompt, unit, _EVERYWHERE),
        Cell("all blocks, weight 0.5", prompt, {**unit, "weight": 0.5}, _EVERYWHERE),
        Cell("all blocks, fusion adain", prompt, {**unit, "fusion": ADAIN}, _EVERYWHERE),
        Cell("reference\na circle, candy", picture=reference),
    ]


def _two_references(style: tuple[int, ...]) -> list[Cell]:
    """Lava and sea differ in their colours alone: these come from the first."""
    prompt, lava, sea = "a heart", _drawing("moon", "lava"), _drawing("house", "sea")
    blocks = {"blocks": dict.fromkeys(map(str, style), 1.0)}

    def unit(first: Image.Image, second: Image.Image, combine: str) -> dict[str, Any]:
        return {"image": [to_base64(first), to_base64(second)], "combine": combine, **blocks}

    return [
        Cell("average of both", prompt, unit(lava, sea, "average"), style),
        Cell("colours of the first", prompt, unit(lava, sea, COLOUR_TEXTURE), style),
        Cell("colours of the second", prompt, unit(sea, lava, COLOUR_TEXTURE), style),
        Cell("first reference\na moon, lava", picture=lava),
        Cell("second reference\na house, sea", picture=sea),
    ]
