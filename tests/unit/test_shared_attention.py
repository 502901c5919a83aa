"""StyleAligned and swapped self-attention, against batches of two on diffusers' UNet."""

import math
from contextlib import ExitStack
from copy import copy
from functools import partial

import pytest
import torch
from torch import nn

from lib_instantstyle.methods.shared_features import (
    SHARED_BLOCKS,
    SWAPPED_BLOCKS,
    Captured,
    ColourCalibration,
    FirstOfBatch,
    Sharing,
    StyleAligned,
    Swapped,
)
from lib_instantstyle.unet.group_norms import Moments, norm_hooks
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT, row_code, rows_of_first_image
from lib_instantstyle.unet.self_attention import PARTS, self_attention_hooks
from tests.miniature.networks.attention import attention_by
from tests.miniature.networks.to_diffusers import diffusers_unet
from tests.unit.noise_schedule import SIGMAS
from tests.unit.self_attention_world import World, hooks_of

T = 500
SCALE = math.sqrt(1 + SIGMAS[T] ** 2)
EVERYWHERE = ("down", "mid", "up")
SWAPPED_PREFIXES = {"sd15": ("up_blocks.3.",), "sdxl": ("up_blocks.1.",)}


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def world(request):
    return World(request.param, side=16)


@pytest.fixture(params=["plain", "sdp"])
def attention(request):
    """The WebUI's attention optimisations call the last projection in different ways."""
    with attention_by(request.param):
        yield


class Batch:
    """A processor for a batch of [reference, picture], written from the papers' equations."""

    def __init__(self, sharing=None):
        self.sharing = sharing  # None: the picture's keys and values are the reference's

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        q, k, v = (project(hidden_states) for project in (attn.to_q, attn.to_k, attn.to_v))
        out = torch.empty_like(q)
        for row in range(2):
            for head in range(attn.heads):
                part = slice(
                    head * q.shape[-1] // attn.heads, (head + 1) * q.shape[-1] // attn.heads
                )
                own = [x[row, :, part] for x in (q, k, v)]
                reference = [x[0, :, part] for x in (q, k, v)]
                out[row, :, part] = self.attend(own, reference, row == 0)
        return attn.to_out[0](out)

    def attend(self, own, reference, is_reference):
        q, k, v = own
        d = q.shape[-1]
        if is_reference:
            return (q @ k.T / math.sqrt(d)).softmax(-1) @ v
        if self.sharing is None:
            return (q @ reference[1].T / math.sqrt(d)).softmax(-1) @ reference[2]
        if self.sharing.adain:
            q, k = (self.normalised(x, r) for x, r in zip((q, k), reference))
        logits = [q @ k.T, self.sharing.scale * (q @ reference[1].T)]
        logits = [x / math.sqrt(d) for x in logits]
        logits[1] = logits[1] + self.sharing.shift
        return torch.cat(logits, 1).softmax(-1) @ torch.cat([v, reference[2]])

    @staticmethod
    def normalised(x, reference):
        std = [(y.var(0) + 1e-5).sqrt() for y in (x, reference)]
        return (x - x.mean(0)) / std[0] * std[1] + reference.mean(0)


def share_norms(unet, kinds):
    """Norms that see each row and the batch's first side by side."""
    for module in unet.modules():
        if isinstance(module, kinds):
            module.forward = partial(side_by_side, module.forward)


def side_by_side(forward, x):
    """x: cells [B, C, h, w] or tokens [B, N, h]."""
    length = x.shape[-2]
    return forward(torch.cat([x, x[:1].expand_as(x)], dim=-2))[..., :length, :]


_ORACLES = {}


def oracle(world, prefixes, sharing, norms=()):
    """Noise of reference and picture in one batch on diffusers' UNet; `prefixes`, `norms` share."""
    key = world.layout, sharing, norms
    if key not in _ORACLES:
        _ORACLES[key] = _oracle(world, prefixes, Batch(sharing), norms)
    return _ORACLES[key]


def _oracle(world, prefixes, processor, norms):
    unet = diffusers_unet(world.unet)
    share_norms(unet, norms)
    processors = dict(unet.attn_processors)
    chosen = [n for n in processors if ".attn1." in n and n.startswith(prefixes)]
    unet.set_attn_processor({n: processor if n in chosen else p for n, p in processors.items()})
    x = torch.cat([world.style, world.content])
    added = {key: value.expand(2, -1) for key, value in world.added.items()}
    context = world.context.expand(2, -1, -1)
    return unet(x, T, context, added_cond_kwargs=added).sample, len(chosen)


def aligned(sharing):
    return lambda reference, heads: StyleAligned(reference, heads, sharing)


def swapped(reference, heads):
    return Swapped(reference)


def captured(world, blocks, make, shares_norms=False):
    """The picture's noise with a reference that was seen in a call of its own."""
    layers = find_layers(world.unet).self_attentions_in(blocks[world.layout])
    with self_attention_hooks(world.unet, layers) as hooks, norm_hooks(world.unet) as norms:
        with hooks.capturing(PARTS) as features, norms.capturing() as moments:
            world.noise(world.style * SCALE, SIGMAS[T])
        reference = Captured(features, moments)
        shared = make(reference, [layer.heads for layer in layers])
        with hooks.acting(shared.act), ExitStack() as sharing:
            if shares_norms:
                sharing.enter_context(norms.sharing(reference.moments))
            found = world.noise(world.content.expand(3, -1, -1, -1) * SCALE, SIGMAS[T])
    assert hooks_of(world.unet) == 0
    torch.testing.assert_close(found[1:], found[:1].expand(2, -1, -1, -1), atol=1e-5, rtol=0)
    return found[:1], len(layers)


def first_of_batch(world, blocks, make, shares_norms=False):
    """Noise of reference and picture, each in two rows, from one call."""
    layers = find_layers(world.unet).self_attentions_in(blocks[world.layout])
    rows = (PROMPT, row_code(PROMPT, 1), NEGATIVE, row_code(NEGATIVE, 1))
    reference = FirstOfBatch(lambda: rows_of_first_image(rows))
    with self_attention_hooks(world.unet, layers) as hooks, norm_hooks(world.unet) as norms:
        shared = make(reference, [layer.heads for layer in layers])
        with hooks.acting(shared.act), ExitStack() as sharing:
            if shares_norms:
                sharing.enter_context(norms.sharing(reference.moments))
            pictures = torch.cat([world.style, world.content] * 2)
            found = world.noise(pictures * SCALE, SIGMAS[T])
    assert hooks_of(world.unet) == 0
    torch.testing.assert_close(found[2:], found[:2], atol=1e-5, rtol=0)
    return found[:2]


def plain(world, latent):
    return world.noise(latent * SCALE, SIGMAS[T])


def equal(found, expected):
    torch.testing.assert_close(found, expected, atol=5e-6, rtol=0)


SHARINGS = [
    Sharing(),
    Sharing(shift=0.0),
    Sharing(shift=-1.0, scale=0.8),
    Sharing(shift=0.0, scale=1.5, adain=0.0),
]


@pytest.mark.parametrize("sharing", SHARINGS, ids=str)
def test_style_aligned_equals_a_batch_on_diffusers(world, sharing, attention):
    expected, count = oracle(world, EVERYWHERE, sharing)
    found, layers = captured(world, SHARED_BLOCKS, aligned(sharing))
    assert layers == count == {"sd15": 16, "sdxl": 70}[world.layout]
    equal(found, expected[1:])
    assert (found - plain(world, world.content)).abs().max() > 1e-4


def test_swapping_equals_a_batch_on_diffusers(world, attention):
    expected, count = oracle(world, SWAPPED_PREFIXES[world.layout], None)
    found, layers = captured(world, SWAPPED_BLOCKS, swapped)
    assert layers == count == {"sd15": 3, "sdxl": 6}[world.layout]
    equal(found, expected[1:])
    assert (found - plain(world, world.content)).abs().max() > 1e-4


@pytest.mark.parametrize("kinds", [(nn.GroupNorm,), (nn.GroupNorm, nn.LayerNorm)], ids=len)
def test_shared_norms_equal_norms_over_a_batch_on_diffusers(world, kinds):
    """With layer norms or without: these see each token alone, so that nothing is shared."""
    expected, _ = oracle(world, EVERYWHERE, Sharing(), kinds)
    found, _ = captured(world, SHARED_BLOCKS, aligned(Sharing()), shares_norms=True)
    equal(found, expected[1:])
    apart, _ = captured(world, SHARED_BLOCKS, aligned(Sharing()))
    assert (found - apart).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("sharing", "norms"), [(SHARINGS[2], ()), (SHARINGS[0], (nn.GroupNorm,))], ids=str
)
def test_the_first_picture_of_a_batch_is_the_reference_and_stays_as_it_is(world, sharing, norms):
    expected, _ = oracle(world, EVERYWHERE, sharing, norms)
    found = first_of_batch(world, SHARED_BLOCKS, aligned(sharing), bool(norms))
    equal(found, expected)
    equal(found[:1], plain(world, world.style))


def test_swapping_with_the_first_picture_of_a_batch(world):
    expected, _ = oracle(world, SWAPPED_PREFIXES[world.layout], None)
    equal(first_of_batch(world, SWAPPED_BLOCKS, swapped), expected)


def test_a_picture_that_is_its_own_reference_is_the_plain_run(world):
    """Twice the same keys and values are attended to as once, and have the same moments."""
    twice = copy(world)
    twice.style = twice.content
    expected = plain(twice, twice.content)
    for make, blocks in ((aligned(Sharing()), SHARED_BLOCKS), (swapped, SWAPPED_BLOCKS)):
        found, _ = captured(twice, blocks, make, shares_norms=True)
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_norms_of_unlike_sizes_count_each_number_once():
    own, other = torch.randn(2, 4, 6, 5), 3 * torch.randn(1, 4, 2, 5) + 1
    norm = nn.GroupNorm(2, 4)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    reference = Moments.of(other, 2)
    with norm_hooks(norm) as hooks, hooks.sharing(lambda number, seen: reference):
        found = norm(own)
    expected = norm(torch.cat([own, other.expand(2, -1, -1, -1)], dim=-2))[..., :6, :]
    torch.testing.assert_close(found, expected)
    with norm_hooks(norm) as hooks, hooks.sharing(lambda number, seen: reference):
        half = norm.half()(own.half())
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), expected, atol=0.01, rtol=0)


def test_norms_that_are_never_reached_are_an_error():
    with (
        norm_hooks(nn.GroupNorm(2, 4)) as hooks,
        pytest.raises(Exception, match="group norms were not reached"),
        hooks.capturing(),
    ):
        pass


def test_a_shift_of_log_2_is_the_reference_twice():
    """Whatever computes the attention: twice the same key has twice its weight."""
    generator = torch.Generator().manual_seed(0)
    reference = {(0, part): torch.randn(1, 5, 8, generator=generator) for part in PARTS}
    twice = {key: x.repeat(1, 2, 1) for key, x in reference.items()}
    own = {part: torch.randn(2, 7, 8, generator=generator) for part in PARTS}

    def attended(features, shift):
        shared = StyleAligned(Captured(features), [2], Sharing(shift=shift, adain=0.0))
        for part in PARTS:
            shared.act(0, part, own[part])
        return shared.act(0, "to_out", own["to_q"])

    torch.testing.assert_close(attended(reference, math.log(2)), attended(twice, 1e-9))


def test_a_very_low_shift_is_attention_to_oneself(world):
    found, _ = captured(world, SHARED_BLOCKS, aligned(Sharing(shift=-1e4, adain=0.0)))
    torch.testing.assert_close(found, plain(world, world.content), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("timesteps", "due"),
    [
        ([981, 501, 151, 149, 126, 101, 100, 51, 1], [149, 126, 101]),
        ([801, 601, 401, 201, 1], [1]),  # none in between: the first below
        ([951, 151, 100], [100]),
        ([951, 251], []),
    ],
    ids=str,
)
def test_the_levels_of_colour_calibration(timesteps, due):
    calibration = ColourCalibration(SIGMAS)
    assert [t for t in timesteps if calibration.is_due(SIGMAS[t])] == due
