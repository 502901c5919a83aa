"""The style as a guidance term of its own: what is added to a prediction."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from tests.units import parse_unit

SHAPE = (2, 4, 3, 3)
PLAIN, STYLED, PREDICTED, STATE = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(1))


class Hooks:
    """As SelfAttentionHooks."""

    acts = False

    @contextmanager
    def acting(self, act, on_latents=None):
        self.acts = True
        yield
        self.acts = False


def change(scale, sigma=2.5, styled=STYLED):
    from lib_instantstyle.methods.swap.method import SwapPart

    hooks, part = (
        Hooks(),
        SwapPart(parse_unit({"method": "swap", "style_guidance": scale}), (), None),
    )
    seen = []

    def unconditional(state, at):
        seen.append((state, at, tuple(part.rows_outside)))
        return styled if hooks.acts else PLAIN

    attention = SimpleNamespace(hooks=hooks, unconditional=unconditional)
    found = part.guidance(None, attention, STATE, sigma)
    assert [(at, rows) for _, at, rows in seen] == [(sigma, (0, 1))] * 2
    assert all(state is STATE for state, _, _ in seen) and part.rows_outside == ()
    return found(PREDICTED)


@pytest.mark.parametrize("scale", [1.0, 3.0, 7.5])
def test_it_is_a_term_of_guidance(webui, scale):
    """In noise: e + s (e_style - e_plain), where the prediction is x - sigma e."""
    noise = (STATE - PREDICTED) / 2.5 + scale * (STYLED - PLAIN)
    torch.testing.assert_close(change(scale), STATE - 2.5 * noise)


def test_predictions_that_agree_are_left_as_they_are(webui):
    torch.testing.assert_close(change(3.0, styled=PLAIN), PREDICTED)
