"""One UNet call with and without a style, beside the peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.injection import Clock, Injection, remove_hooks
from lib_instantstyle.unet.layers import UnetLayers, find_layers
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from tests.bench.networks import StyleBlock, Weights, diffusers_unet_of
from tests.bench.peers import Diffusers, project_each_call
from tests.bench.timing import Times, interleaved
from tests.miniature.networks.unet import UNetConfig
from tests.operations import counted, flops
from tests.units import Unit, parse_unit

ROWS = (PROMPT, NEGATIVE)
Call = Callable[[], torch.Tensor]


class Ours:
    """A plan's hooks, on for one call at a time, with all that they keep during a pass.

    Taking them off for good between calls would have each call deal out K and V to its rows anew,
    which happens once in a pass.
    """

    def __init__(
        self, unet: nn.Module, layers: UnetLayers, plan: Plan, meter: EffectMeter | None = None
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


@dataclass(frozen=True)
class Measured:
    """What a comparison found."""

    times: dict[str, Times]  # by case
    distances: dict[str, float]  # of the peers' results, and the plain one, from ours
    added: list[dict[str, Any]]  # what a case costs more than the plain one, by count


class Bench:
    """One network, called plain, with ours and with the peers, in one number format."""

    def __init__(self, unet: nn.Module, layers: UnetLayers, call: Callable[[Any], torch.Tensor]):
        self.dtype = next(unet.parameters()).dtype
        self.unet, self.layers, self._call = unet, layers, call
        self.weights = Weights(layers, dtype=self.dtype)
        self.text = torch.randn(len(ROWS), 77, layers.context_width, dtype=self.dtype)

    def plain(self) -> torch.Tensor:
        return self._call(self.text)

    def ours(self, plan: Plan, meter: EffectMeter | None = None) -> Call:
        hooks = Ours(self.unet, self.layers, plan, meter)
        return lambda: hooks(self.plain)

    def projecting(self, plan: Plan) -> Call:
        chosen = {term.layer.number for term in plan.terms}

        def run() -> torch.Tensor:
            with project_each_call(self.layers, self.weights, chosen, ROWS):
                return self.plain()

        return run

    def diffusers(self, plan: Plan) -> Call:
        chosen = {term.layer.number for term in plan.terms}
        processors = Diffusers(self.layers, self.weights, chosen)
        with_image = (self.text, [self.weights.tokens[list(ROWS)][:, None]])

        def run() -> torch.Tensor:
            with processors.on():
                return self._call(with_image)

        return run

    def measure(self, cases: Mapping[str, Call], repetitions: int) -> Measured:
        """Times and counts of all `cases`; how far the peers and the plain call are from ours."""
        with torch.no_grad():
            expected = cases["ours"]()
            distances = {
                name: float((cases[name]() - expected).abs().max())
                for name in ("projecting in each call", "diffusers", "plain")
            }
        added = over_plain({name: counted(run) for name, run in cases.items()})
        watched = {name: (lambda watch, run=run: run()) for name, run in cases.items()}
        return Measured(interleaved(watched, repetitions), distances, added)


def style_block(
    repetitions: int, side: int = 32, width: int = 1280, context: int = 2048
) -> Measured:
    """SDXL's style block alone at `side` x `side` tokens, beside the peers."""
    torch.manual_seed(0)
    block = StyleBlock(width, context)
    layers = block.layers()
    x = torch.randn(len(ROWS), width, side, side)
    bench = Bench(block, layers, lambda text: block(x, None, text))
    plan = bench.weights.plan()
    other = Weights(layers, seed=1).plan(Unit(number=2))
    cases = {
        "plain": bench.plain,
        "ours": bench.ours(plan),
        "ours, two units": bench.ours(Plan(plan.terms + other.terms)),
        "ours, with report": bench.ours(plan, EffectMeter()),
        "ours, auto weight": bench.ours(bench.weights.plan(parse_unit({"auto_weight": 0.3}))),
        "projecting in each call": bench.projecting(plan),
        "diffusers": bench.diffusers(plan),
    }
    return bench.measure(cases, repetitions)


def whole_unet(
    config: UNetConfig, dtype: torch.dtype, repetitions: int, side: int
) -> tuple[Measured, Measured]:
    """diffusers' whole UNet of that size: a style in the style block, and in all blocks."""
    torch.manual_seed(0)
    bench = _unet_bench(config, dtype, side)
    style, everything = (
        bench.measure(_beside_peers(bench, unit), repetitions)
        for unit in (Unit(preset="style"), Unit(preset="original"))
    )
    return style, everything


def operations_added(config: UNetConfig, side: int) -> list[dict[str, Any]]:
    """Floating-point operations that a style adds to a call of a whole UNet, one row for each case,
    and those of the plain call. Counted from shapes alone: no weights, no result.
    """
    rows = []
    with torch.device("meta"):
        bench = _unet_bench(config, torch.float16, side)
        for blocks, preset in (("style block", "style"), ("all blocks", "original")):
            cases = _beside_peers(bench, Unit(preset=preset))
            costs = {name: flops(run) for name, run in cases.items()}
            plain = costs.pop("plain")
            added = {name: cost - plain for name, cost in costs.items()}
            rows.append({"blocks": blocks, "plain": plain, **added})
    return rows


def _unet_bench(config: UNetConfig, dtype: torch.dtype, side: int) -> Bench:
    unet = diffusers_unet_of(config, dtype)
    x = torch.randn(len(ROWS), config.in_channels, side, side, dtype=dtype)
    t = torch.full((len(ROWS),), 500)
    sizes = {"time_ids": torch.full((len(ROWS), 6), 8.0 * side, dtype=dtype)}
    if config.adm_in_channels:
        pooled = config.adm_in_channels - 6 * 256
        sizes["text_embeds"] = torch.randn(len(ROWS), pooled, dtype=dtype)

    def call(text: Any) -> torch.Tensor:
        answer = unet(x, t, encoder_hidden_states=text, added_cond_kwargs=sizes)
        result: torch.Tensor = answer.sample
        return result

    return Bench(unet, find_layers(unet), call)


def _beside_peers(bench: Bench, unit: Unit) -> dict[str, Call]:
    plan = bench.weights.plan(unit)
    return {
        "plain": bench.plain,
        "ours": bench.ours(plan),
        "projecting in each call": bench.projecting(plan),
        "diffusers": bench.diffusers(plan),
    }


def over_plain(costs: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """What each case costs more than the plain one, one row for each."""
    plain = costs["plain"]
    return [
        {"case": name, **{what: cost[what] - plain[what] for what in plain}}
        for name, cost in costs.items()
        if cost is not plain
    ]
