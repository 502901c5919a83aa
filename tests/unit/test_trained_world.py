"""The synthetic world: seeded, and what is asked for is what is drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.trained.world import LOOKS, SHAPES, SIDE, scenes

SHAPE_NUMBERS, LOOK_NUMBERS = range(len(SHAPES)), range(len(LOOKS))
AREAS = {  # in squared radii
    "circle": 0.9 * math.pi,
    "square": 1.7**2,
    "triangle": 0.6 * 1.8**2,
    "star": 5 * 1.15 * 0.5 * math.sin(math.pi / 5),
    "cross": 4 * 0.66 - 0.66**2,
}


def drawn(shape: int, look: int, seed: int = 3, count: int = 4):
    rng = np.random.default_rng(seed)
    return scenes(rng, count, [shape] * count, [look] * count).pictures


def test_one_seed_draws_the_same_and_another_seed_something_else() -> None:
    first, again, other = (scenes(np.random.default_rng(seed), 8) for seed in (1, 1, 2))
    assert np.array_equal(first.pictures, again.pictures)
    assert np.array_equal(first.shapes, again.shapes)
    assert not np.array_equal(first.pictures, other.pictures)
    assert first.pictures.shape == (8, 3, SIDE, SIDE)
    assert first.pictures.dtype == np.float32
    assert -1 <= first.pictures.min() < -0.5 < 0.5 < first.pictures.max() <= 1


@pytest.mark.parametrize("name", AREAS)
def test_a_shape_covers_its_area(name: str) -> None:
    """On paper everything is dark figure or light ground; one seed draws one size."""

    def covered(shape: str) -> float:
        grey = drawn(list(SHAPES).index(shape), list(LOOKS).index("paper")).mean(1)
        dark, light = (level(grey, axis=(1, 2), keepdims=True) for level in (np.min, np.max))
        return ((light - grey) / (light - dark)).sum()

    expected = AREAS[name] / AREAS["square"]
    assert covered(name) / covered("square") == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_colours_figure_and_ground(look: str) -> None:
    pictures = drawn(list(SHAPES).index("square"), list(LOOKS).index(look), count=40)
    figures = pictures[:, :, 13:19, 13:19]  # in every square, wherever it stands
    grounds = pictures[:, :, :4]  # above every square
    for seen, fill in ((figures, LOOKS[look].figure), (grounds, LOOKS[look].ground)):
        share = fill.pattern(*np.meshgrid(np.arange(12.0), np.arange(12.0))).mean()
        first, second = np.array(fill.first), np.array(fill.second)
        expected = (first + (second - first) * share) * 2 - 1
        assert seen.mean((0, 2, 3)) == pytest.approx(expected, abs=0.12)


def test_every_pair_of_shapes_and_of_looks_differs_in_pictures_of_one_seed() -> None:
    shapes = [drawn(shape, 0)[0] for shape in SHAPE_NUMBERS]
    looks = [drawn(0, look)[0] for look in LOOK_NUMBERS]
    for pictures in (shapes, looks):
        for i, a in enumerate(pictures):
            for b in pictures[:i]:
                assert np.abs(a - b).mean() > 0.01


def test_a_ground_of_another_look_changes_the_ground_only() -> None:
    own = scenes(np.random.default_rng(5), 1, [0], [0])
    mixed = scenes(np.random.default_rng(5), 1, [0], [0], grounds=[2])
    changed = np.abs(own.pictures - mixed.pictures).max(1)[0]
    assert changed[15:17, 15:17].max() == 0
    assert changed[0].min() > 0.1
