"""The synthetic world: a shape in a look, 32 x 32 pixels, drawn from a seed.

The shape is what a prompt names; the look (colours and patterns of figure and ground) is what a
reference lends. Where a shape stands, how large it is, the phases of the patterns and a little of
every colour are left to chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
_FINE = 3  # samples per pixel and axis, for soft edges
_COLOUR_JITTER = 0.08
FURTHEST = 3.0  # a shape's middle from the picture's, in pixels and along each axis
BEYOND = 4.0  # for networks that judge pictures: generated shapes may stand anywhere
_SMALLEST, _LARGEST = 8.0, 11.5  # radius, in pixels
_PIXELS = 8  # of a picture, to one of the world's

Field = NDArray[np.float32]


def _circle(u: Field, v: Field) -> NDArray[np.bool_]:
    return u**2 + v**2 < 0.9


def _square(u: Field, v: Field) -> NDArray[np.bool_]:
    return np.maximum(abs(u), abs(v)) < 0.85


def _triangle(u: Field, v: Field) -> NDArray[np.bool_]:
    return (v < 0.8) & (abs(u) < 0.6 * (v + 1.0))


def _cross(u: Field, v: Field) -> NDArray[np.bool_]:
    return (np.minimum(abs(u), abs(v)) < 0.33) & (np.maximum(abs(u), abs(v)) < 1.0)


def _heart(u: Field, v: Field) -> NDArray[np.bool_]:
    x, y = 1.15 * u, 0.15 - 1.15 * v
    return (x**2 + y**2 - 1.0) ** 3 < x**2 * y**3


def _star(u: Field, v: Field) -> NDArray[np.bool_]:
    """Five points; a picture's own fifth is folded onto one edge from a tip to a notch."""
    fifth = 2 * np.pi / 5
    angle = abs((np.arctan2(u, -v) + fifth / 2) % fifth - fifth / 2)
    along, across = np.hypot(u, v) * np.cos(angle), np.hypot(u, v) * np.sin(angle)
    tip, notch = 1.15, (0.5 * np.cos(fifth / 2), 0.5 * np.sin(fifth / 2))
    return (along - tip) * notch[1] < across * (notch[0] - tip)


def _ring(u: Field, v: Field) -> NDArray[np.bool_]:
    return abs(np.hypot(u, v) - 0.72) < 0.25


def _moon(u: Field, v: Field) -> NDArray[np.bool_]:
    """A crescent: a disc without another that lies further to the right."""
    return (u**2 + v**2 < 1.0) & ((u - 0.5) ** 2 + v**2 > 0.55)


def _arrow(u: Field, v: Field) -> NDArray[np.bool_]:
    """It points to the right."""
    shaft = (abs(v) < 0.26) & (u > -1.0) & (u < 0.1)
    return shaft | ((u >= 0.1) & (abs(v) < 0.85 * (1.0 - u) / 0.9))


def _house(u: Field, v: Field) -> NDArray[np.bool_]:
    """Roof, walls, and a door that shows the ground."""
    roof = (v < -0.1) & (abs(u) < 1.05 * (v + 1.0) / 0.9)
    walls = (v >= -0.1) & (v < 0.9) & (abs(u) < 0.75)
    return roof | (walls & ~((abs(u) < 0.24) & (v > 0.3)))


def _fish(u: Field, v: Field) -> NDArray[np.bool_]:
    body = ((u + 0.25) / 0.8) ** 2 + (v / 0.52) ** 2 < 1.0
    return body | ((u > 0.35) & (u < 1.0) & (abs(v) < 0.15 + 0.9 * (u - 0.35)))


def _tree(u: Field, v: Field) -> NDArray[np.bool_]:
    """A round crown on a trunk."""
    return (u**2 + (v + 0.38) ** 2 < 0.42) | ((abs(u) < 0.19) & (v > 0.0) & (v < 1.0))


SHAPES: dict[str, Callable[[Field, Field], NDArray[np.bool_]]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "ring": _ring,
    "moon": _moon,
    "arrow": _arrow,
    "house": _house,
    "fish": _fish,
    "tree": _tree,
}

# Patterns: pixel coordinates with a random phase -> share of the second colour, 0 to 1.


def _stripes(x: Field, y: Field) -> Field:
    return np.where((x + y) % 6 < 3, 0.0, 1.0)


def _checks(x: Field, y: Field) -> Field:
    return np.where((x // 3 + y // 3) % 2 < 1, 0.0, 1.0)


def _grid(x: Field, y: Field) -> Field:
    return np.where((x % 6 < 1) | (y % 6 < 1), 1.0, 0.0)


def _dots(x: Field, y: Field) -> Field:
    return np.where((x % 6 < 2) & (y % 6 < 2), 1.0, 0.0)


def _lines(x: Field, y: Field) -> Field:
    return np.where(y % 4 < 2, 0.0, 1.0)


def _plain(x: Field, y: Field) -> Field:
    return np.zeros_like(x)


Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Fill:
    """Two colours, RGB from 0 to 1, and the pattern that mixes them."""

    first: Colour
    second: Colour = (0.0, 0.0, 0.0)
    pattern: Callable[[Field, Field], Field] = _plain


@dataclass(frozen=True)
class Look:
    ground: Fill
    figure: Fill


LOOKS: dict[str, Look] = {
    "night": Look(Fill((0.05, 0.06, 0.25), (0.9, 0.9, 0.7), _dots), Fill((0.95, 0.85, 0.4))),
    "blueprint": Look(Fill((0.1, 0.3, 0.7), (0.4, 0.6, 0.9), _grid), Fill((0.95, 0.97, 1.0))),
    "candy": Look(Fill((1.0, 0.7, 0.8)), Fill((0.85, 0.1, 0.2), (1.0, 0.95, 0.95), _stripes)),
    "forest": Look(Fill((0.15, 0.4, 0.15), (0.3, 0.6, 0.2), _checks), Fill((0.4, 0.22, 0.1))),
    "lava": Look(Fill((0.1, 0.05, 0.05)), Fill((0.95, 0.3, 0.05), (1.0, 0.75, 0.1), _lines)),
    "ice": Look(Fill((0.85, 0.95, 1.0)), Fill((0.2, 0.5, 0.85), (0.5, 0.8, 0.95), _checks)),
    "paper": Look(Fill((0.93, 0.9, 0.8)), Fill((0.12, 0.12, 0.12))),
    "desert": Look(
        Fill((0.9, 0.75, 0.45), (0.8, 0.6, 0.3), _lines),
        Fill((0.1, 0.5, 0.5), (0.8, 0.95, 0.85), _dots),
    ),
    # Told apart by colour alone: the patterns of candy and of lava.
    "mint": Look(Fill((0.75, 0.95, 0.8)), Fill((0.1, 0.55, 0.3), (0.95, 1.0, 0.95), _stripes)),
    "sea": Look(Fill((0.02, 0.08, 0.2)), Fill((0.05, 0.4, 0.9), (0.3, 0.9, 0.95), _lines)),
    # Told apart by texture alone: the colours of forest and of ice, in equal shares.
    "jungle": Look(Fill((0.15, 0.4, 0.15), (0.3, 0.6, 0.2), _stripes), Fill((0.4, 0.22, 0.1))),
    "frost": Look(Fill((0.85, 0.95, 1.0)), Fill((0.2, 0.5, 0.85), (0.5, 0.8, 0.95), _lines)),
}


@dataclass(frozen=True)
class Scenes:
    """Pictures [B, 3, 32, 32], float32 in -1..1, and what is in them, by number [B] each; where
    the shape stands, across and down, and how large it is: [B, 3], -1 to 1; the shape's share of
    each pixel, [B, 32, 32]."""

    pictures: Field
    shapes: NDArray[np.int64]
    looks: NDArray[np.int64]
    places: Field
    masks: Field


def scenes(
    rng: np.random.Generator,
    count: int,
    shapes: Sequence[int] | None = None,
    looks: Sequence[int] | None = None,
    grounds: Sequence[int] | None = None,
    furthest: float = FURTHEST,
) -> Scenes:
    """`count` random scenes; shapes and looks by number, at random where not given.

    `grounds` takes the ground from other looks than the figure, which no picture of the world has:
    a judge of shapes sees these, so as not to judge by the look.
    """
    shape_ids = rng.integers(len(SHAPES), size=count) if shapes is None else np.asarray(shapes)
    look_ids = rng.integers(len(LOOKS), size=count) if looks is None else np.asarray(looks)
    ground_ids = look_ids if grounds is None else np.asarray(grounds)
    places = rng.uniform(-1, 1, (count, 3)).astype(np.float32)
    masks = _masks(places, shape_ids, furthest)
    figures = _fills(rng, look_ids, "figure")
    behind = _fills(rng, ground_ids, "ground")
    pictures = behind + (figures - behind) * masks[:, None]
    return Scenes(pictures.astype(np.float32) * 2 - 1, shape_ids, look_ids, places, masks)


def as_image(picture: np.ndarray) -> Image.Image:
    """[3, 32, 32] in -1..1 -> 256 x 256 pixels, as a WebUI shows it."""
    levels = ((np.asarray(picture).transpose(1, 2, 0) + 1) * 127.5).round().clip(0, 255)
    image = Image.fromarray(levels.astype(np.uint8))
    return image.resize((SIDE * _PIXELS, SIDE * _PIXELS), Image.Resampling.NEAREST)


def _masks(places: Field, shape_ids: NDArray[np.int64], furthest: float) -> Field:
    """Share of each pixel that the shape covers: [B, 32, 32]."""
    count = len(shape_ids)
    across, down, size = places.T.reshape(3, count, 1, 1)
    centre = SIDE / 2 + furthest * across, SIDE / 2 + furthest * down
    radius = (_SMALLEST + _LARGEST + (_LARGEST - _SMALLEST) * size) / 2
    fine = (np.arange(SIDE * _FINE) + 0.5) / _FINE
    u = np.broadcast_to((fine[None, None, :] - centre[0]) / radius, (count, fine.size, fine.size))
    v = np.broadcast_to((fine[None, :, None] - centre[1]) / radius, u.shape)
    inside = np.empty(u.shape, np.float32)
    for number, shape in enumerate(SHAPES.values()):
        rows = shape_ids == number
        inside[rows] = shape(u[rows], v[rows])
    return inside.reshape(count, SIDE, _FINE, SIDE, _FINE).mean((2, 4))


def _fills(rng: np.random.Generator, look_ids: NDArray[np.int64], part: str) -> Field:
    """Colours of figure or ground everywhere: [B, 3, 32, 32], 0 to 1."""
    count = len(look_ids)
    phase = rng.integers(12, size=(2, count, 1, 1))
    jitter = rng.uniform(-_COLOUR_JITTER, _COLOUR_JITTER, (count, 2, 3))
    pixels = np.arange(SIDE)
    x = np.broadcast_to(pixels[None, None, :] + phase[0], (count, SIDE, SIDE)).astype(np.float32)
    y = np.broadcast_to(pixels[None, :, None] + phase[1], (count, SIDE, SIDE)).astype(np.float32)
    fills: list[Fill] = [getattr(look, part) for look in LOOKS.values()]
    colours = np.array([(fill.first, fill.second) for fill in fills])[look_ids] + jitter
    colours = colours.clip(0, 1)[..., None, None]
    share = np.empty((count, 1, SIDE, SIDE), np.float32)
    for number, fill in enumerate(fills):
        rows = look_ids == number
        share[rows, 0] = fill.pattern(x[rows], y[rows])
    return colours[:, 0] + (colours[:, 1] - colours[:, 0]) * share
