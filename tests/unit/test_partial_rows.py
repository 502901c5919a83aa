"""Layers that another extension calls with a part of the rows, as for regions of the picture."""

import pytest
import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.denoiser import AMBIGUOUS, DenoiserClock
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from tests.engine import inject
from tests.unit.denoiser_calls import params
from tests.unit.injection_world import World
from tests.unit.plans import plan, terms
from tests.units import Unit

ROWS = (PROMPT, PROMPT, NEGATIVE, NEGATIVE)


@pytest.fixture
def world(tmp_path):
    world = World("sd15", tmp_path)
    adapter = (world.path, world.adapter.kind)
    world.plan_of_style = plan(terms(world.layers, *adapter, Unit(), world.vector[None]))
    return world


def clock_of(world, said, rows=ROWS):
    """Rows announced for the call, parts told apart by a real denoiser's parameters."""
    denoiser = DenoiserClock(1, said.append)
    denoiser.begin_step(params(world.context[:2], world.context[2:], rows=4))
    return Clock(lambda call: rows, lambda: 0.0, 1, denoiser.rows_of_part)


def run(world, clock):
    with torch.no_grad(), inject(world.unet, world.layers, world.plan_of_style, clock):
        return world.run()


def split(world, monkeypatch, parts):
    """Have every selected layer called with `parts` of the rows instead of all at once."""
    for number in (13, 15, 17):
        module = world.layers.by_number[number].module
        forward = module.forward

        def in_parts(x, context=None, forward=forward, **more):
            out = torch.zeros_like(x)
            for part in parts:
                out[part] = forward(x[part], context=context[part], **more)
            return out

        monkeypatch.setattr(module, "forward", in_parts)


@pytest.mark.parametrize(
    "parts", [[[0, 1], [2, 3]], [[3], [0, 2], [1]], [[2, 3], [0, 1]], [[0], [1], [2], [3]]]
)
def test_parts_are_told_apart_by_what_they_attend_to(world, monkeypatch, parts):
    said = []
    whole = run(world, clock_of(world, said))
    split(world, monkeypatch, parts)
    torch.testing.assert_close(run(world, clock_of(world, said)), whole, atol=1e-5, rtol=0)
    assert said == []


def test_parts_that_look_alike_are_taken_in_order_and_that_is_said_once(world, monkeypatch):
    said = []
    world.context[2:] = world.context[:2]  # prompt and negative prompt are the same text
    whole = run(world, clock_of(world, said))
    split(world, monkeypatch, [[0, 1], [2, 3]])
    torch.testing.assert_close(run(world, clock_of(world, said)), whole, atol=1e-5, rtol=0)
    assert said == [AMBIGUOUS]


def test_chunks_of_a_long_prompt_belong_to_it(world):
    """A region's extension hands each layer one chunk of 77 tokens of a longer prompt."""
    generator = torch.Generator().manual_seed(1)
    prompt, negative = torch.randn(2, 1, 154, 8, generator=generator)
    denoiser = DenoiserClock(1, print)
    denoiser.begin_step(params(prompt, negative, rows=2))
    second_chunks = torch.cat([negative[:, 77:], prompt[:, 77:]])
    found = denoiser.rows_of_part(second_chunks, (PROMPT,) * 2, (PROMPT, NEGATIVE))
    assert found == (NEGATIVE, PROMPT)


def test_rows_that_were_added_are_prompts_if_all_negative_ones_are_found():
    """Forge Couple repeats each prompt chunk with a text for each region, and evens the count."""
    generator = torch.Generator().manual_seed(1)
    prompt, negative, region = torch.randn(3, 1, 77, 8, generator=generator)
    said = []
    denoiser = DenoiserClock(1, said.append)
    denoiser.begin_step(params(prompt, negative, rows=2))
    rows = torch.cat([negative, prompt, region, region + 1, torch.zeros_like(region)])
    guess, call = (NEGATIVE, PROMPT) * 2 + (NEGATIVE,), (NEGATIVE, PROMPT)
    assert denoiser.rows_of_part(rows, guess, call) == (NEGATIVE, *(PROMPT,) * 4)
    assert said == []
    # Not where the extension puts another text in the place of the negative prompt.
    assert denoiser.rows_of_part(rows[1:], guess[1:], call) == guess[1:]
    assert said == [AMBIGUOUS]


def test_with_a_reference_for_each_picture_nobody_may_deal_out_rows():
    prompt, negative = torch.zeros(2, 1, 77, 8)
    denoiser = DenoiserClock(1, print, tells_images_apart=True)
    denoiser.begin_step(params(prompt, negative, rows=2))
    with pytest.raises(InstantStyleError, match="combine 'each' cannot be used"):
        denoiser.rows_of_part(prompt, (PROMPT,), (PROMPT, NEGATIVE))


def test_parts_nobody_can_tell_apart_are_an_error(world, monkeypatch):
    split(world, monkeypatch, [[0], [1, 2, 3]])
    with pytest.raises(InstantStyleError, match="with 1 of 4 rows, and which ones cannot be told"):
        run(world, Clock(lambda call: ROWS, lambda: 0.0))


def test_nothing_is_left_of_what_looked_at_the_parts(world, monkeypatch):
    split(world, monkeypatch, [[0, 1], [2, 3]])
    run(world, clock_of(world, []))
    for found in world.layers.by_number.values():
        assert not found.module.to_k._forward_pre_hooks
