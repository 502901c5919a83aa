"""Cases with pairs of looks that differ in their colours alone, or in their texture alone.

Either two references have one look each, so that what comes says which side it took from where. Or
the prompt names one look, and the reference has the other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.effect.arms import Cases, make_cases
from tests.trained.world import LOOKS, scenes

COLOUR_PAIRS = (("candy", "mint"), ("lava", "sea"))
TEXTURE_PAIRS = (("forest", "jungle"), ("ice", "frost"))


def pairs(count: int, seed: int) -> tuple[Cases, np.ndarray]:
    """Cases with a second reference; whether their looks differ by colour [B].

    `looks` is the one that is expected: the first reference's where the two differ by colour, the
    second's where they differ by texture.
    """
    rng = np.random.default_rng([seed, 2])
    cases = make_cases(count, seed)
    names = list(LOOKS)
    chosen = [(a, b, True) for a, b in COLOUR_PAIRS] + [(a, b, False) for a, b in TEXTURE_PAIRS]
    both = [(a, b, by) for x, y, by in chosen for a, b in ((x, y), (y, x))]
    each = [both[i % len(both)] for i in range(count)]
    first, second = (np.array([names.index(pair[i]) for pair in each]) for i in (0, 1))
    by_colour = np.array([pair[2] for pair in each])
    seen = [scenes(rng, count, cases.reference_shapes, looks).pictures for looks in (first, second)]
    expected = np.where(by_colour, first, second)
    found = replace(cases, looks=expected, references=seen[0], seconds=seen[1])
    return found, by_colour


def named(count: int, seed: int) -> Cases:
    """Cases whose prompts name a look; the reference's look has other colours and the same
    texture. The world has no words for colours themselves."""
    rng = np.random.default_rng([seed, 3])
    cases = make_cases(count, seed)
    names = list(LOOKS)
    chosen = [(a, b) for x, y in COLOUR_PAIRS for a, b in ((x, y), (y, x))]
    each = [chosen[i % len(chosen)] for i in range(count)]
    told, shown = (np.array([names.index(pair[i]) for pair in each]) for i in (0, 1))
    seen = scenes(rng, count, cases.reference_shapes.tolist(), shown.tolist())
    return replace(cases, looks=shown, references=seen.pictures, named=told)
