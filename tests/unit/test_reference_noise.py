"""Noise on a clean reference, and guidance by its queries, against diffusers' UNet."""

import math

import pytest
import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.methods.reference_noise import NoisedReference
from lib_instantstyle.methods.shared_features import (
    SWAPPED_BLOCKS,
    Captured,
    QueryGuided,
    SharedFeatures,
    Swapped,
)
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT, image_of, row_code
from lib_instantstyle.unet.self_attention import TO_K, TO_Q, TO_V, self_attention_hooks
from tests.miniature.networks.to_diffusers import diffusers_unet
from tests.unit.noise_schedule import SIGMAS
from tests.unit.self_attention_world import World

T = 500
SCALE = math.sqrt(1 + SIGMAS[T] ** 2)
LATE = {"sd15": ("up_blocks.3.",), "sdxl": ("up_blocks.1.",)}


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def world(request):
    return World(request.param, side=16)


LATENT = torch.randn(1, 4, 12, 9, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fresh", [False, True])
def test_without_noise_it_is_the_reference(fresh):
    noised = NoisedReference(LATENT, [5, 6], fresh)
    assert torch.equal(noised.at(0.0), LATENT.expand(2, -1, -1, -1))


def test_one_noise_at_every_level_or_another_each_time():
    same, fresh = (NoisedReference(LATENT, [5], fresh) for fresh in (False, True))
    one, two = (same.at(sigma) - LATENT for sigma in (1.0, 2.0))
    torch.testing.assert_close(two, 2 * one)
    assert torch.equal(fresh.at(1.0) - LATENT, one)
    assert not torch.allclose(fresh.at(1.0) - LATENT, one)


@pytest.mark.parametrize("fresh", [False, True])
def test_an_image_has_the_noise_of_its_seed_alone_and_in_a_batch(fresh):
    together = NoisedReference(LATENT, [7, 8, 9], fresh)
    alone = [NoisedReference(LATENT, [seed], fresh) for seed in (7, 8, 9)]
    for sigma in (3.0, 1.0, 0.5):
        assert torch.equal(together.at(sigma), torch.cat([each.at(sigma) for each in alone]))


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**62, -3])
def test_no_other_random_number_is_drawn_and_the_pictures_own_noise_is_another(seed):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    noised = NoisedReference(LATENT, [seed], fresh=True)
    found = noised.at(1.0) - LATENT
    assert torch.equal(torch.get_rng_state(), before)
    own = torch.randn(LATENT.shape[1:], generator=torch.Generator().manual_seed(seed % 2**63))
    assert not torch.allclose(found[0], own)


def test_mean_and_covariance():
    """Over noises: the mean is z0, the covariance over space sigma^2 I."""
    count, sigma = 20000, 2.0
    latent = torch.tensor([3.0, -1.0]).view(1, 2, 1, 1)
    noised = NoisedReference(latent, [11], fresh=True)
    found = torch.stack([noised.at(sigma).flatten() for _ in range(count)])
    torch.testing.assert_close(found.mean(0), latent.flatten(), atol=0.06, rtol=0)
    torch.testing.assert_close(found.T.cov(), sigma**2 * torch.eye(2), atol=0.15, rtol=0)


class QueryGuidedBatch:
    """A processor for [reference, prompt, negative], one row each, from the paper's equations."""

    def __init__(self, late):
        self.late = late

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        q, k, v = (project(hidden_states) for project in (attn.to_q, attn.to_k, attn.to_v))
        served = [(0, 0, 0), (1, 0, 0), (2, 2, 2)] if self.late else [(0,) * 3, (1,) * 3, (0, 2, 2)]
        rows = []
        for query, key, value in served:
            heads = []
            for head in range(attn.heads):
                own = slice(
                    head * q.shape[-1] // attn.heads, (head + 1) * q.shape[-1] // attn.heads
                )
                logits = q[query, :, own] @ k[key, :, own].T / math.sqrt(q.shape[-1] // attn.heads)
                heads.append(logits.softmax(-1) @ v[value, :, own])
            rows.append(torch.cat(heads, 1))
        return attn.to_out[0](torch.stack(rows))


def test_it_equals_a_batch_on_diffusers(world):
    unet = diffusers_unet(world.unet)
    processors = {
        name: QueryGuidedBatch(name.startswith(LATE[world.layout])) if ".attn1." in name else each
        for name, each in unet.attn_processors.items()
    }
    unet.set_attn_processor(processors)
    x = torch.cat([world.style, world.content, world.content])
    added = {key: value.expand(3, -1) for key, value in world.added.items()}
    context = world.context.expand(3, -1, -1)
    expected = unet(x, T, context, added_cond_kwargs=added).sample[1:]

    found, layers = guided(world, (PROMPT, NEGATIVE))
    assert layers == {"sd15": 16, "sdxl": 70}[world.layout]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    turned, _ = guided(world, (NEGATIVE, PROMPT, NEGATIVE))
    torch.testing.assert_close(turned, found[[1, 0, 1]], atol=1e-5, rtol=0)


def guided(world, rows, picture=None):
    """Noise of the picture in such rows, and the number of layers."""
    layers = find_layers(world.unet).self_attentions
    late = {n for n, each in enumerate(layers) if each.block.index in SWAPPED_BLOCKS[world.layout]}
    latent = world.content if picture is None else picture
    with self_attention_hooks(world.unet, layers) as hooks:
        with hooks.capturing(lambda n: (TO_K, TO_V) if n in late else (TO_Q,)) as features:
            world.noise(world.style * SCALE, SIGMAS[T])
        acting = QueryGuided(Captured(features), late, lambda: rows)
        with hooks.acting(acting.act):
            found = world.noise(latent.expand(len(rows), -1, -1, -1) * SCALE, SIGMAS[T])
    return found, len(layers)


def test_prompt_rows_are_those_of_swapping_alone(world):
    """Bit for bit; and without negative rows nothing else is left."""
    layers = find_layers(world.unet).self_attentions_in(SWAPPED_BLOCKS[world.layout])
    with self_attention_hooks(world.unet, layers) as hooks:
        with hooks.capturing((TO_K, TO_V)) as features:
            world.noise(world.style * SCALE, SIGMAS[T])
        with hooks.acting(Swapped(Captured(features)).act):
            swapped = world.noise(world.content.expand(2, -1, -1, -1) * SCALE, SIGMAS[T])
    assert torch.equal(guided(world, (PROMPT, PROMPT))[0], swapped)
    torch.testing.assert_close(guided(world, (PROMPT, NEGATIVE))[0][0], swapped[0])


def test_a_reference_that_is_the_picture_changes_nothing(world):
    plain = world.noise(world.style.expand(2, -1, -1, -1) * SCALE, SIGMAS[T])
    found, _ = guided(world, (PROMPT, NEGATIVE), world.style)
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=0)


class Constant(SharedFeatures):
    """Features of one number."""

    def features(self, number, part, x):
        return torch.full_like(x, {TO_Q: 1.0, TO_K: 2.0, TO_V: 3.0}[part])

    def moments(self, number, own):
        return own


@pytest.mark.parametrize("rows", [(0,), (1,), (0, 1), (1, 1, 0, 0), (2, 4, 1, 3)])
def test_rows_are_told_by_their_kind(rows):
    acting = QueryGuided(Constant(), {1}, lambda: rows)
    x = torch.zeros(len(rows), 2, 4)
    for number, part, kind, value in (
        (0, TO_Q, NEGATIVE, 1.0),
        (1, TO_K, PROMPT, 2.0),
        (1, TO_V, PROMPT, 3.0),
    ):
        found = acting.act(number, part, x)
        changed = [row for row, code in enumerate(rows) if code % 2 == kind]
        if not changed:
            assert found is None
            continue
        expected = x.clone()
        expected[changed] = value
        assert torch.equal(found, expected)
    untouched = [(0, TO_K), (0, TO_V), (1, TO_Q)]
    assert all(acting.act(number, part, x) is None for number, part in untouched)


class OfSize(Constant):
    """Queries [B, 6, 1] that tell the column of a grid of 2 x 3."""

    def features(self, number, part, x):
        return torch.tensor([0.0, 1.0, 2.0] * 2).view(1, 6, 1).expand(len(x), -1, -1)


def test_queries_lie_on_the_grid_of_a_larger_picture():
    """As in hires fix."""
    acting = QueryGuided(OfSize(), {}, lambda: (PROMPT, NEGATIVE), lambda: ((2, 3), (4, 6)))
    found = acting.act(0, TO_Q, torch.full((2, 24, 1), 9.0))
    assert (found[0] == 9).all()
    expected = torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.0]).repeat(4)
    torch.testing.assert_close(found[1, :, 0], expected)
    odd = QueryGuided(OfSize(), {}, lambda: (NEGATIVE,), lambda: ((2, 3), (4, 6)))
    with pytest.raises(InstantStyleError, match="changed the number of tokens"):
        odd.act(0, TO_Q, torch.zeros(1, 23, 1))


def test_each_image_has_the_features_of_its_own_row():
    features = {(0, TO_K): torch.arange(3.0).view(3, 1, 1).expand(3, 2, 4)}
    rows = tuple(row_code(kind, image) for kind in (PROMPT, NEGATIVE) for image in range(3))
    reference = Captured(features, rows=lambda: [image_of(code) for code in rows])
    found = reference.features(0, TO_K, torch.zeros(6, 2, 4))
    assert found[:, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]
