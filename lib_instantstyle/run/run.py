"""One generation with style: its state hangs on `p`, its hooks live while the sampler runs.

A WebUI generation meets this in four places, in this order:

- `process`: the units are checked and the plan is made. What is wrong stops the generation
  through `p.init`, because an exception raised in a script's hook is only printed.
- `process_batch`: `p.sample` is wrapped, to find out afterwards whether any layer was reached.
- `process_before_every_sampling`: `launch_sampling` of this sampler is wrapped; the hooks stand
  on the UNet inside it and nowhere else.
- the denoiser's callback: tells the pass under way which rows come next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import Host, current
from lib_instantstyle.hosts.refusal import InstantStyle
from lib_instantstyle.hosts.wrapping import wrap_next_call
from lib_instantstyle.methods import IP_ADAPTER
from lib_instantstyle.methods.attention_methods import prepare_attention_method
from lib_instantstyle.methods.b_lora.method import prepare_blora
from lib_instantstyle.methods.ip_adapter.prepare import Prepared, prepare
from lib_instantstyle.run import effect
from lib_instantstyle.run.leak import leak_meters, measure
from lib_instantstyle.run.sampling_pass import SamplingPass
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.hook_handles import remove_all_hooks
from lib_instantstyle.unet.layers import UnetLayers, find_layers
from lib_instantstyle.units.infotext import INFOTEXT_KEY
from lib_instantstyle.units.unit import Unit

ATTRIBUTE = "_instantstyle_run"  # on p


class Run:
    """The style of one generation."""

    def __init__(self, units: Sequence[Unit], p: Any, host: Host) -> None:
        self._host = host
        unet = host.unet(p)
        remove_all_hooks(unet)
        layers = find_layers(unet)
        self._units = units
        self._prepared = self._prepare(layers, p, unet)
        self._attention = prepare_attention_method(units, host, p, unet)
        self._leak_meters = leak_meters(units, layers, host, p)
        self._signature = layers.signature
        self._layout = layers.layout
        self._meter = EffectMeter() if any(unit.report for unit in units) else None
        self._passes: list[SamplingPass] = []  # of the batch under way
        self._current: SamplingPass | None = None

    @property
    def infotext(self) -> dict[str, str]:
        written = dict(self._prepared.infotext)
        if self._attention:
            written |= self._attention.infotext
        return dict(sorted(written.items(), key=lambda item: (len(item[0]), item[0])))

    @property
    def comments(self) -> Sequence[str]:
        """What the user should be told beside the picture."""
        comments = [*self._prepared.comments]
        return [*comments, *self._attention.comments] if self._attention else comments

    @property
    def is_empty(self) -> bool:
        """True where no layer gets anything."""
        return self._prepared.plan.is_empty and self._attention is None

    def listen(self, p: Any) -> None:
        """See what `p.init` makes of the picture to change."""
        if self._attention:
            self._attention.listen(p)

    def begin_step(self, params: Any) -> None:
        """The denoiser is about to evaluate a step."""
        if self._current is None:
            return
        try:
            self._current.begin_step(params)
        except Exception as error:  # only printed from here, and the step would lack its style
            self._current.failure = error

    def arm(self, p: Any) -> None:
        """Hold the hooks around the next `launch_sampling` of p's sampler."""

        def around(launch: Callable[..., Any], steps: int, *args: Any, **kwargs: Any) -> Any:
            try:
                return self._sample(p, launch, steps, *args, **kwargs)
            except InstantStyleError as error:
                raise InstantStyle(str(error)) from error
            finally:
                current, self._current = self._current, None
                if current is not None:
                    current.clear()

        wrap_next_call(p.sampler, "launch_sampling", around)

    def watch(self, p: Any) -> None:
        """See to it that the next `p.sample` reaches the layers, or fails."""

        def around(sample: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            self._passes = []
            if self._attention:
                self._attention.encode(p)
            try:
                result = sample(*args, **kwargs)
                if not self._host.interrupted():
                    self._check_effect(p)
                self._report(p)
                return result
            finally:
                self._passes = []  # they hold the UNet, and another extension may hold `p`

        wrap_next_call(p, "sample", around)

    def _sample(
        self, p: Any, launch: Callable[..., Any], steps: int, *args: Any, **kwargs: Any
    ) -> Any:
        unet = self._host.unet(p)  # looked up now: hires fix may have changed the checkpoint
        layers = find_layers(unet)
        plan = self._prepared_for(layers, p, unet).plan.in_pass(self._host.is_hires_pass(p))
        region = self._host.region(p)
        if region is not None:
            plan = plan.within(region)
        attention = self._attention
        told = attention is not None and attention.tells_images_apart
        with SamplingPass(plan, unet, layers, steps, self._host, p, self._meter, told) as current:
            self._current = current
            self._passes.append(current)
            if attention is None:
                return launch(steps, *args, **kwargs)
            with attention.holding(p, unet, steps, current):
                return launch(steps, *args, **kwargs)

    def _prepare(self, layers: UnetLayers, p: Any, unet: nn.Module) -> Prepared:
        adapters = [unit for unit in self._units if unit.method == IP_ADAPTER.name]
        prepared = prepare(adapters, layers, self._host, p)
        return prepared.and_also(prepare_blora(self._units, layers, unet))

    def _prepared_for(self, layers: UnetLayers, p: Any, unet: nn.Module) -> Prepared:
        if layers.signature != self._signature:
            self._prepared = self._prepare(layers, p, unet)
            self._signature = layers.signature
            self._layout = layers.layout
            self._host.load_unet(p)  # the sampler had loaded it, and then encoders were
        return self._prepared

    def _check_effect(self, p: Any) -> None:
        if not self._passes:
            raise InstantStyle(
                "the style could not be applied, because another script (such as img2img "
                "alternative test) does the sampling itself; switch one of the two off."
            )
        if self._attention and not self._prepared.plan.terms:
            if not self._attention.replaced:
                p.comment("InstantStyle: no sampling step falls between start and end.")
            return
        if not any(each.expected for each in self._passes):
            p.comment(
                "InstantStyle: no sampling step falls between start and end, or none in the passes "
                "that hires_pass names."
            )
        elif not any(each.fired for each in self._passes):
            raise InstantStyle(self._passes[-1].why_nothing)

    def measure_leak(self, p: Any, image: Any) -> None:
        """Write what the finished picture `image` (PIL) shows of the references' content."""
        if not self._leak_meters:
            return
        last = getattr(p, "batch_index", 0) + 1 >= p.batch_size
        try:
            found = measure(self._leak_meters, image, self._host, last)
        except Exception as error:  # the picture is there; what is only printed would be missed
            p.comment(f"InstantStyle: the leak could not be measured ({error}).")
            return
        p.extra_generation_params.update(found)

    def _report(self, p: Any) -> None:
        for unit, factor in (self._passes[0].found_weights() if self._passes else {}).items():
            p.extra_generation_params[f"{INFOTEXT_KEY.format(unit)} auto"] = f"{factor:.3g}"
        if self._meter is None:
            return
        effects = effect.block_effects(self._meter.effects(), self._layout)
        effect.keep(effects)
        p.extra_generation_params.update(effect.infotext(effects))
        remark = effect.remark(effects)
        if remark:
            p.comment(remark)


def start(p: Any, units: Sequence[Unit]) -> None:
    """Prepare a run for `p`; raises InstantStyleError if it cannot be had."""
    run = Run(units, p, current(p))
    if not run.is_empty:
        setattr(p, ATTRIBUTE, run)
        run.listen(p)
        p.extra_generation_params.update(run.infotext)
        for comment in run.comments:
            p.comment(comment)
