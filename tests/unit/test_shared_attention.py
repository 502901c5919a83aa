"""StyleAligned and swapped self-attention, against batches of two on diffusers' UNet."""

import math

import pytest
import torch

from lib_instantstyle.tensor.self_attention import (
    PARTS,
    find_self_attention,
    self_attention_hooks,
)
from lib_instantstyle.tensor.shared_attention import (
    SHARED_BLOCKS,
    SWAPPED_BLOCKS,
    Sharing,
    StyleAligned,
    Swapped,
)
from tests.miniature.networks.attention import use_attention
from tests.miniature.networks.to_diffusers import diffusers_unet
from tests.unit.noise_schedule import SIGMAS
from tests.unit.test_styleid import World, hooks_of

T = 500


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def world(request):
    return World(request.param, side=16)


@pytest.fixture(params=["split", "sdp"])
def attention(request):
    """The WebUI's attention optimisations call the last projection in different ways."""
    use_attention(request.param)
    yield
    use_attention("split")


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


def oracle(world, prefixes, processor):
    """The picture's noise in a batch with the reference; all of `prefixes` share."""
    unet = diffusers_unet(world.unet)
    processors = dict(unet.attn_processors)
    chosen = [n for n in processors if ".attn1." in n and n.startswith(prefixes)]
    unet.set_attn_processor({n: processor if n in chosen else p for n, p in processors.items()})
    x = torch.cat([world.style, world.content])
    added = {key: value.expand(2, -1) for key, value in world.added.items()}
    context = world.context.expand(2, -1, -1)
    return unet(x, T, context, added_cond_kwargs=added).sample[1:], len(chosen)


def ours(world, blocks, make):
    sigma = SIGMAS[T]
    scaled = math.sqrt(1 + sigma**2)
    layers = find_self_attention(world.unet, blocks)
    with self_attention_hooks(world.unet, layers) as hooks:
        with hooks.capturing(PARTS) as reference:
            world.noise(world.style * scaled, sigma)
        shared = make(reference, [layer.heads for layer in layers])
        with hooks.acting(shared.act):
            found = world.noise(world.content.expand(3, -1, -1, -1) * scaled, sigma)
    assert hooks_of(world.unet) == 0
    torch.testing.assert_close(found[1:], found[:1].expand(2, -1, -1, -1), atol=1e-5, rtol=0)
    return found[:1], len(layers)


@pytest.mark.parametrize(
    "sharing",
    [
        Sharing(),
        Sharing(shift=0.0),
        Sharing(shift=-1.0, scale=0.8),
        Sharing(shift=0.0, scale=1.5, adain=0.0),
    ],
    ids=str,
)
def test_style_aligned_equals_a_batch_on_diffusers(world, sharing, attention):
    expected, count = oracle(world, ("down", "mid", "up"), Batch(sharing))
    found, layers = ours(world, SHARED_BLOCKS, lambda *x: StyleAligned(*x, sharing))
    assert layers == count == {"sd15": 16, "sdxl": 70}[world.layout]
    torch.testing.assert_close(found, expected, atol=5e-6, rtol=0)
    plain = world.noise(world.content * math.sqrt(1 + SIGMAS[T] ** 2), SIGMAS[T])
    assert (found - plain).abs().max() > 1e-4


def test_swapping_equals_a_batch_on_diffusers(world, attention):
    prefixes = {"sd15": ("up_blocks.3.",), "sdxl": ("up_blocks.1.",)}[world.layout]
    expected, count = oracle(world, prefixes, Batch())
    found, layers = ours(world, SWAPPED_BLOCKS, lambda reference, heads: Swapped(reference))
    assert layers == count == {"sd15": 3, "sdxl": 6}[world.layout]
    torch.testing.assert_close(found, expected, atol=5e-6, rtol=0)
    plain = world.noise(world.content * math.sqrt(1 + SIGMAS[T] ** 2), SIGMAS[T])
    assert (found - plain).abs().max() > 1e-4


def test_a_shift_of_log_2_is_the_reference_twice():
    """Whatever computes the attention: twice the same key has twice its weight."""
    generator = torch.Generator().manual_seed(0)
    reference = {(0, part): torch.randn(1, 5, 8, generator=generator) for part in PARTS}
    twice = {key: x.repeat(1, 2, 1) for key, x in reference.items()}
    own = {part: torch.randn(2, 7, 8, generator=generator) for part in PARTS}

    def attended(features, shift):
        shared = StyleAligned(features, [2], Sharing(shift=shift, adain=0.0))
        for part in PARTS:
            shared.act(0, part, own[part])
        return shared.act(0, "to_out", own["to_q"])

    torch.testing.assert_close(attended(reference, math.log(2)), attended(twice, 1e-9))


def test_a_very_low_shift_is_attention_to_oneself(world):
    lonely = Sharing(shift=-1e4, adain=0.0)
    found, _ = ours(world, SHARED_BLOCKS, lambda *x: StyleAligned(*x, lonely))
    plain = world.noise(world.content * math.sqrt(1 + SIGMAS[T] ** 2), SIGMAS[T])
    torch.testing.assert_close(found, plain, atol=2e-5, rtol=0)
