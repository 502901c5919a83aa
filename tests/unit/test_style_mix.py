"""From one saved style to another: the arc between their vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lib_instantstyle.styles.file import slerp


def vectors(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(3, 8), (2, 5, 8)])
def test_the_arc_in_numpy(shape, share):
    a, b = vectors(1, *shape), vectors(2, *shape)
    x, y = a.double().numpy(), b.double().numpy()
    lengths = np.linalg.norm(x, axis=-1), np.linalg.norm(y, axis=-1)
    angle = np.arccos((x * y).sum(-1) / (lengths[0] * lengths[1]))[..., None]
    expected = (np.sin((1 - share) * angle) * x + np.sin(share * angle) * y) / np.sin(angle)
    np.testing.assert_allclose(slerp(a, b, share), expected, atol=1e-6)


def test_vectors_of_length_1_stay_so_and_the_angle_is_shared_out():
    a, b = (torch.nn.functional.normalize(vectors(seed, 6, 16), dim=-1) for seed in (3, 4))
    found = slerp(a, b, 0.3)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(6))
    whole, part = ((a * x).sum(-1).acos() for x in (b, found))
    torch.testing.assert_close(part, 0.3 * whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("b", ["same", "opposite", "zero"])
def test_where_there_is_no_arc_it_is_a_straight_line(b):
    a = vectors(5, 2, 8)
    other = {"same": a.clone(), "opposite": -a, "zero": torch.zeros_like(a)}[b]
    torch.testing.assert_close(slerp(a, other, 0.25), a + 0.25 * (other - a))
    assert slerp(other, a, 0.25).isfinite().all()
