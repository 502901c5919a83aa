"""StyleID against a straight-line implementation that keeps features, on diffusers' UNet."""

import math
import weakref
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lib_instantstyle.methods.styleid import algorithm, fields
from lib_instantstyle.methods.styleid.algorithm import DEFAULT_BLOCKS, Settings
from lib_instantstyle.unet.inversion import ddim_timesteps, published_schedule, sampler_schedule
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.self_attention import (
    PARTS,
    TO_K,
    TO_Q,
    TO_V,
    SelfAttentionHooks,
    self_attention_hooks,
)
from tests.miniature.networks.to_diffusers import diffusers_unet
from tests.miniature.networks.unet import SD15_TINY, UNetModel
from tests.unit.noise_schedule import ALPHAS, SIGMAS
from tests.unit.self_attention_world import World, hooks_of

# The layers by diffusers' names, as the paper's authors count them in their diffusers version.
DIFFUSERS_BLOCKS = {
    "sd15": [f"up_blocks.{b}.attentions.{i}." for b in (2, 3) for i in range(3)],
    "sdxl": [f"up_blocks.1.attentions.{i}." for i in range(3)],
}


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def world(request):
    return World(request.param)


@pytest.fixture(scope="module")
def small():
    """For what does not depend on the layout."""
    return World("sd15")


# -- the oracle: diffusers' UNet, DDIM as the paper writes it, all features kept -----------------


class KeepingOrPlacing:
    """An attention processor that keeps q, k and v of each time step, or puts others in place."""

    def __init__(self, name, state):
        self.name, self.state = name, state

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        q, k, v = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        factor = 1.0
        if self.state.keep is not None:
            self.state.keep[self.name] = (q, k, v)
        if self.state.place is not None:
            content, style, gamma, factor = self.state.place
            q = gamma * content[self.name][0] + (1 - gamma) * q
            k, v = style[self.name][1:]
        batch, tokens, _ = q.shape
        q, k, v = (
            x.reshape(batch, -1, attn.heads, x.shape[-1] // attn.heads).transpose(1, 2)
            for x in (q, k, v)
        )
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) * factor
        out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, -1)
        return attn.to_out[0](out)


@dataclass
class State:
    keep: dict | None = None
    place: tuple | None = None


class StraightLine:
    """StyleID as run_styleid.py goes about it, written from the paper's equations."""

    def __init__(self, world):
        self.world = world
        self.unet = diffusers_unet(world.unet)
        self.state = State()
        blocks = DIFFUSERS_BLOCKS[world.layout]
        processors = dict(self.unet.attn_processors)
        for name in processors:
            if any(name.startswith(block) for block in blocks) and ".attn1." in name:
                processors[name] = KeepingOrPlacing(name, self.state)
        self.replaced = sum(isinstance(p, KeepingOrPlacing) for p in processors.values())
        self.unet.set_attn_processor(processors)

    def noise(self, x, t):
        world = self.world
        return self.unet(x, t, world.context, added_cond_kwargs=world.added).sample

    @staticmethod
    def ddim(x, noise, a, b):
        predicted = (x - (1 - a).sqrt() * noise) / a.sqrt()
        return b.sqrt() * predicted + (1 - b).sqrt() * noise

    def invert(self, latent, timesteps):
        """timesteps rise; features of each but the last, and the last state."""
        features, x = {}, latent
        for t, after in pairwise(timesteps):
            features[t] = self.state.keep = {}
            x = self.ddim(x, self.noise(x, t), ALPHAS[t].float(), ALPHAS[after].float())
        self.state.keep = None
        return x, features

    def run(self, start, timesteps, content, style, gamma, tau):
        """timesteps fall; the last one is where the result belongs. gamma: one for each step."""
        x = start
        for (t, after), share in zip(pairwise(timesteps), gamma, strict=True):
            self.state.place = (content[t], style[t], share, tau)
            x = self.ddim(x, self.noise(x, t), ALPHAS[t].float(), ALPHAS[after].float())
        self.state.place = None
        return x


def straight_adain(c, s):
    out = torch.empty_like(c)
    for i in range(c.shape[1]):
        a, b = c[0, i].flatten(), s[0, i].flatten()
        out[0, i] = (c[0, i] - a.mean()) / a.std() * b.std() + b.mean()
    return out


GAMMA_CURVES = {  # as arXiv 2605.26538 has them
    "linear": lambda a: a,
    "quadratic": lambda a: a**2,
    "square root": np.sqrt,
    "cosine": lambda a: (1 - np.cos(np.pi * a)) / 2,
    "exponential": lambda a: (np.exp(a) - 1) / (np.e - 1),
}


@pytest.mark.parametrize("curve", GAMMA_CURVES)
def test_gamma_goes_from_its_first_value_to_its_last(curve):
    settings = Settings(gamma=0.75, gamma_end=0.375, gamma_curve=curve)
    found = [settings.in_step(i, 9).gamma for i in range(9)]
    expected = 0.75 + (0.375 - 0.75) * GAMMA_CURVES[curve](np.linspace(0, 1, 9))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (found[0], found[-1]) == (0.75, 0.375)
    assert settings.in_step(0, 1).gamma == 0.75


def test_every_curve_that_a_unit_may_have_is_known():
    assert set(GAMMA_CURVES) == set(algorithm.GAMMA_WAYS) == set(fields.GAMMA_CURVES)


@pytest.mark.parametrize("curve", GAMMA_CURVES)
def test_gamma_that_ends_where_it_begins_is_the_same_bit_by_bit(small, curve):
    still = small.stylise(SCHEDULE, Settings(gamma=0.3))
    ends = Settings(gamma=0.3, gamma_end=0.3, gamma_curve=curve)
    assert torch.equal(small.stylise(SCHEDULE, ends), still)
    moving = Settings(gamma=0.3, gamma_end=0.9, gamma_curve=curve)
    assert not torch.equal(small.stylise(SCHEDULE, moving), still)


@pytest.mark.parametrize(("gamma", "gamma_end"), [(0.75, None), (0.3, None), (0.75, 0.375)])
def test_the_published_run_equals_a_straight_line_implementation(world, gamma, gamma_end):
    steps = 10 if world.layout == "sd15" else 4
    oracle = StraightLine(world)
    assert oracle.replaced == {"sd15": 6, "sdxl": 6}[world.layout] == len(world.layers)
    rising = ddim_timesteps(steps)
    style, style_features = oracle.invert(world.style, [*rising, 999])
    content, content_features = oracle.invert(world.content, [*rising, 999])
    start = straight_adain(content, style)
    falling = [*rising[-2::-1], 0]
    gammas = np.linspace(gamma, gamma if gamma_end is None else gamma_end, len(falling) - 1)
    expected = oracle.run(start, falling, content_features, style_features, gammas, 1.5)

    settings = Settings(gamma=gamma, gamma_end=gamma_end)
    ours = world.stylise(published_schedule(steps, SIGMAS), settings)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    for unlike in ((gammas, 1.0), (0 * gammas, 1.5)):  # the comparison has something to see
        other = oracle.run(start, falling, content_features, style_features, *unlike)
        assert (expected - other).abs().max() > 1e-4


def test_a_walk_over_the_sampler_s_levels_equals_it_too(world):
    """Picture at sigma 0, every level styled, from the trajectory's own state at the highest."""
    timesteps = [800, 500, 200, 50]
    oracle = StraightLine(world)
    schedule = sampler_schedule([SIGMAS[t] for t in timesteps])

    def inverted(latent):
        first = latent + SIGMAS[50] * oracle.noise(latent / math.sqrt(1 + SIGMAS[50] ** 2), 50)
        x, features = oracle.invert(first * ALPHAS[50].sqrt().float(), timesteps[::-1])
        features[800] = oracle.state.keep = {}
        oracle.noise(x, 800)
        oracle.state.keep = None
        return x, features

    # The first step asks the UNet about the picture itself, scaled for the lowest level.
    style, style_features = inverted(world.style)
    content, content_features = inverted(world.content)
    x = oracle.run(
        straight_adain(content, style), timesteps, content_features, style_features, [0.75] * 3, 1.5
    )
    oracle.state.place = (content_features[50], style_features[50], 0.75, 1.5)
    last = oracle.noise(x, 50)
    expected = (x - (1 - ALPHAS[50]).sqrt().float() * last) / ALPHAS[50].sqrt().float()

    ours = world.stylise(schedule, Settings())
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


# -- identities -------------------------------------------------------------------------------

SCHEDULE = sampler_schedule([SIGMAS[t] for t in (900, 500, 100)])


def plain(world, start):
    x = start
    for step in SCHEDULE.down:
        x = x + (step.end - step.start) * world.noise(x, step.at)
    return x


def test_gamma_0_tau_1_and_the_pictures_own_features_are_a_plain_run(world):
    """Keys, values and queries come from the run itself, so nothing changes."""
    same = Settings(gamma=0.0, tau=1.0)
    # Of a picture with itself, every step whose state is the trajectory's is untouched.
    trajectory = world.trajectory(world.content, SCHEDULE)
    state = trajectory[SCHEDULE.down[0].at]
    with self_attention_hooks(world.unet, world.layers) as hooks:
        for gamma in (0.0, 0.75):
            with hooks.capturing(PARTS) as features:
                expected = world.noise(state, SCHEDULE.down[0].at)
            injection = algorithm.StyleInjection(
                features, [features], state, [0], replace(same, gamma=gamma)
            )
            with hooks.acting(injection.act, injection.on_latents):
                found = world.noise(state, SCHEDULE.down[0].at)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
            assert hooks.replaced > 0


def test_outside_its_part_of_the_sampling_it_does_nothing(small):
    never = Settings(start=1.0, end=1.0, adain=0.0)
    top = small.trajectory(small.content, SCHEDULE)[SCHEDULE.up[-1].end]
    torch.testing.assert_close(small.stylise(SCHEDULE, never), plain(small, top), atol=1e-5, rtol=0)
    early, late = Settings(end=0.3), Settings(start=0.3)
    results = [small.stylise(SCHEDULE, s) for s in (Settings(), early, late, never)]
    for i, a in enumerate(results):
        for b in results[:i]:
            assert (a - b).abs().max() > 1e-3


def test_gamma_1_makes_the_result_independent_of_the_current_query(small):
    with self_attention_hooks(small.unet, small.layers[-1:]) as hooks:
        seen = []
        with hooks.capturing(PARTS) as features:
            small.noise(small.style, SIGMAS[500])
        for latent in (small.content, small.other):
            injection = algorithm.StyleInjection(
                features, [features], latent, [0], Settings(gamma=1.0)
            )

            def act(number, part, x, injection=injection):
                changed = injection.act(number, part, x)
                seen.append((part, x, changed))
                return changed

            with hooks.acting(act):
                small.noise(latent, SIGMAS[500])
    (_, q1, changed1), (_, q2, changed2) = (entry for entry in seen if entry[0] == TO_Q)
    assert (q1 - q2).abs().max() > 0.01
    assert torch.equal(changed1, changed2)
    torch.testing.assert_close(changed1, 1.5 * features[0, TO_Q])


def test_tau_on_the_query_is_tau_on_the_logits():
    q, k, v = torch.randn(3, 1, 2, 16, 8).unbind(0)
    ours = F.scaled_dot_product_attention(1.5 * q, k, v)
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(q, k, v, scale=1.5 / 8**0.5))


def test_share_of_adain(small):
    style, content = (small.trajectory(x, SCHEDULE) for x in (small.style, small.content))
    none, half, full = (
        algorithm.first_state(SCHEDULE, style, [content], s) for s in (0.0, 0.5, 1.0)
    )
    top = SCHEDULE.up[-1].end
    torch.testing.assert_close(none, content[top])
    torch.testing.assert_close(full, straight_adain(content[top], style[top]))
    torch.testing.assert_close(half, (none + full) / 2)


# -- batches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["cu", "uc", "interleaved", "apart"])
def test_each_row_gets_the_content_of_its_picture(small, order):
    """However the WebUI arranges prompt and negative rows of the pictures of a batch."""
    contents = [small.content, small.other]
    alone = [small.stylise(SCHEDULE, Settings(), [content]) for content in contents]

    def predict(x, sigma):
        scaled = x.half().float()  # the UNet may see other numbers than the sampler holds
        assert not torch.equal(scaled, x)
        if order == "apart":
            return torch.cat([small.noise(row[None], sigma) for row in x])
        if order == "interleaved":
            return small.noise(x.repeat_interleave(2, 0), sigma)[::2]
        rows = small.noise(torch.cat([x, x]), sigma)
        return rows[: len(x)] if order == "cu" else rows[len(x) :]

    batch = small.stylise(SCHEDULE, Settings(), contents, [0, 1, 0], predict)
    for found, expected in zip(batch.split(1), [alone[0], alone[1], alone[0]]):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    assert (alone[0] - alone[1]).abs().max() > 0.1


# -- what is left, and what it costs ------------------------------------------------------------


def test_hooks_are_gone_however_the_block_ends(small):
    assert hooks_of(small.unet) == 0
    with pytest.raises(ZeroDivisionError), self_attention_hooks(small.unet, small.layers):
        assert hooks_of(small.unet) == 4 * len(small.layers) + 1
        raise ZeroDivisionError
    assert hooks_of(small.unet) == 0
    left = SelfAttentionHooks(small.layers)
    left.attach(small.unet)  # and never detached
    with self_attention_hooks(small.unet, small.layers):
        assert hooks_of(small.unet) == 4 * len(small.layers) + 1
    assert hooks_of(small.unet) == 0
    assert not hasattr(small.unet, "_instantstyle_self_attention")


def test_idle_hooks_change_nothing(small):
    expected = small.noise(small.content, SIGMAS[500])
    with self_attention_hooks(small.unet, small.layers) as hooks:
        assert torch.equal(small.noise(small.content, SIGMAS[500]), expected)
        assert hooks.replaced == 0


def test_a_unet_whose_self_attention_is_never_reached_is_an_error(small):
    with (
        self_attention_hooks(small.unet, small.layers) as hooks,
        pytest.raises(Exception, match="was not reached"),
        hooks.capturing((TO_K,)),
    ):
        pass


def test_features_live_for_one_step_only(small, monkeypatch):
    made, alive = [], []

    class Watched(algorithm.StyleInjection):
        def __init__(self, style, *rest):
            super().__init__(style, *rest)
            made.append(weakref.ref(style[0, TO_K]))

    monkeypatch.setattr(algorithm, "StyleInjection", Watched)

    def predict(x, sigma):
        alive.append(sum(ref() is not None for ref in made))
        return small.noise(x, sigma)

    small.stylise(SCHEDULE, Settings(), predict=predict)
    assert alive == [1] * len(SCHEDULE.down)


def test_queries_of_a_single_content_are_not_copied():
    """They are a third of all that is kept; what is kept for several is cut out of one tensor."""
    contents = [{(0, TO_Q): torch.randn(1, 5, 8)} for _ in range(2)]
    style = {(0, part): torch.randn(1, 5, 8) for part in (TO_K, TO_V)}
    own = torch.randn(1, 5, 8)
    alone = algorithm.StyleInjection(style, contents[:1], torch.randn(1, 4, 2, 2), [0], Settings())
    before = own.clone()
    changed = alone.act(0, TO_Q, own)
    torch.testing.assert_close(
        changed, 1.5 * (0.75 * contents[0][0, TO_Q] + 0.25 * own), atol=1e-6, rtol=0
    )
    assert torch.equal(own, before)
    assert alone._queries is contents[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_memory_at_512_pixels_and_50_steps_of_a_real_sd15(dtype):
    """Counted on a UNet of the real size without numbers. The published code keeps 3.5 GB."""
    real = replace(SD15_TINY, model_channels=320, context_dim=768)
    with torch.device("meta"):
        unet = UNetModel(real).to(dtype)
        x, context = torch.empty(1, 4, 64, 64, dtype=dtype), torch.empty(1, 77, 768, dtype=dtype)
        with self_attention_hooks(
            unet, find_layers(unet).self_attentions_in(DEFAULT_BLOCKS["sd15"])
        ) as hooks:
            with hooks.capturing((TO_K, TO_V)) as style:
                unet(x, timesteps=torch.ones(1), context=context)
            with hooks.capturing((TO_Q,)) as content:
                unet(x, timesteps=torch.ones(1), context=context)
    assert sum(x.numel() for x in (*style.values(), *content.values())) == 17_694_720
    schedule = published_schedule(50, SIGMAS)
    states = 2 * len(schedule.kept) * 4 * 64 * 64 * 4  # two pictures, in single precision
    features = 17_694_720 * dtype.itemsize
    assert features + states < 100e6
    assert states == 6_553_600
