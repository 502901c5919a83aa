"""One UNet call with and without a style."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import nn

from lib_instantstyle.pure.rows import NEGATIVE, PROMPT
from lib_instantstyle.pure.units import Unit, parse_unit
from lib_instantstyle.tensor.injection import Clock, Injection, remove_hooks
from lib_instantstyle.tensor.meter import Meter
from lib_instantstyle.tensor.plan import Plan
from lib_instantstyle.tensor.unet import UnetLayers, find_layers
from tests.bench.networks import StyleBlock, Weights
from tests.bench.peers import diffusers_processors, no_processors, project_each_call
from tests.bench.timing import Times, interleaved
from tests.operations import counted

ROWS = (PROMPT, NEGATIVE)
Call = Callable[[], torch.Tensor]


class Ours:
    """A plan's hooks, on for one call at a time, with all that they keep during a pass.

    Taking them off for good between calls would have each call deal out K and V to its rows anew,
    which happens once in a pass.
    """

    def __init__(
        self, unet: nn.Module, layers: UnetLayers, plan: Plan, meter: Meter | None = None
    ) -> None:
        self._unet, self._layers = unet, layers
        self._injection = Injection(plan, Clock(lambda call: ROWS, lambda: 0.0), meter)

    def __call__(self, call: Call) -> torch.Tensor:
        if self._injection.unet is None:
            self._injection.attach(self._unet, self._layers)
            remove_hooks(self._unet)
        before = self._injection._before_unet
        handles = [self._unet.register_forward_pre_hook(before, with_kwargs=True)]
        for hook in self._injection._hooks:
            handles.extend(hook.attach())
        try:
            return call()
        finally:
            for handle in handles:
                handle.remove()


def style_block(repetitions: int, side: int = 32, width: int = 1280, context: int = 2048) -> Any:
    """SDXL's style block alone at `side` x `side` tokens, beside the peers.

    Returns the times by case, how far each peer's result is from ours, and what each case adds to
    the plain one by count, which no other work on the machine can change.
    """
    torch.manual_seed(0)
    block = StyleBlock(width, context)
    layers, attentions = block.layers(), block.attentions()
    weights, other = Weights(layers), Weights(layers, seed=1)
    x = torch.randn(len(ROWS), width, side, side)
    text = torch.randn(len(ROWS), 77, context)
    with_image = (text, [weights.tokens[list(ROWS)][:, None]])

    def call() -> torch.Tensor:
        return block(x, None, text)

    def diffusers() -> torch.Tensor:
        diffusers_processors(attentions, weights)
        try:
            return block(x, None, with_image)
        finally:
            no_processors(attentions)

    def projecting() -> torch.Tensor:
        with project_each_call(attentions, weights, ROWS):
            return call()

    both = Plan(weights.plan().terms + other.plan(Unit(number=2)).terms)
    ours = Ours(block, layers, weights.plan())
    cases: dict[str, Call] = {
        "plain": call,
        "ours": lambda: ours(call),
        "ours, two units": lambda: two(call),
        "ours, with report": lambda: reporting(call),
        "ours, auto weight": lambda: automatic(call),
        "projecting in each call": projecting,
        "diffusers": diffusers,
    }
    two = Ours(block, layers, both)
    reporting = Ours(block, layers, weights.plan(), Meter())
    automatic = Ours(block, layers, weights.plan(parse_unit({"auto_weight": 0.3})))
    with torch.no_grad():
        expected = ours(call)
        distances = {
            name: float((cases[name]() - expected).abs().max())
            for name in ("projecting in each call", "diffusers", "plain")
        }
        assert isinstance(attentions[0].processor, AttnProcessor2_0)
    added = {name: counted(run) for name, run in cases.items()}
    return timed(cases, repetitions), distances, over_plain(added)


def over_plain(costs: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """What each case costs more than the plain one, one row for each."""
    plain = costs["plain"]
    return [
        {"case": name, **{what: cost[what] - plain[what] for what in plain}}
        for name, cost in costs.items()
        if cost is not plain
    ]


def whole_unet(unet: nn.Module, repetitions: int, side: int, adm: int | None = None) -> Any:
    """A whole UNet: plain, the style block, all blocks. Times by case."""
    torch.manual_seed(0)
    dtype = next(unet.parameters()).dtype
    layers = find_layers(unet)
    weights = Weights(layers)
    x = torch.randn(len(ROWS), 4, side, side, dtype=dtype)
    t = torch.full((len(ROWS),), 500.0)
    text = torch.randn(len(ROWS), 77, layers.context_width, dtype=dtype)
    y = None if adm is None else torch.randn(len(ROWS), adm, dtype=dtype)

    def call() -> torch.Tensor:
        return unet(x, timesteps=t, context=text, y=y)

    style = Ours(unet, layers, weights.plan())
    everything = Ours(unet, layers, weights.plan(Unit(preset="original")))
    cases: dict[str, Call] = {
        "plain": call,
        "ours, style": lambda: style(call),
        "ours, all blocks": lambda: everything(call),
    }
    return timed(cases, repetitions)


def timed(cases: Mapping[str, Call], repetitions: int) -> dict[str, Times]:
    return interleaved(
        {name: (lambda watch, run=run: run()) for name, run in cases.items()}, repetitions
    )
