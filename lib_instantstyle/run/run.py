"""One generation with style: its state hangs on `p`, its hooks live while the sampler runs.

A WebUI generation meets this in four places, in this order:

- `process`: the units are checked and their parts prepared. What is wrong stops the generation
  through `p.init`, because an exception raised in a script's hook is only printed.
- `process_batch`: `p.sample` is wrapped, to find out afterwards whether any layer was reached.
- `process_before_every_sampling`: `launch_sampling` of this sampler is wrapped; the hooks stand
  on the UNet inside it and nowhere else.
- the denoiser's callback: tells the pass under way which rows come next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.refusal import InstantStyle
from lib_instantstyle.hosts.wrapping import wrap_next_call
from lib_instantstyle.methods import conflicts, load
from lib_instantstyle.methods.base import Part
from lib_instantstyle.run import effect, state
from lib_instantstyle.run.leak import leak_meters, measure
from lib_instantstyle.run.sampling_pass import SamplingPass
from lib_instantstyle.session import SESSION
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.hook_handles import remove_all_hooks
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.units.infotext import INFOTEXT_KEY
from lib_instantstyle.units.unit import Unit

_NO_STEP = "no sampling step falls between start and end"


class Run:
    """The style of one generation."""

    def __init__(self, units: Sequence[Unit], p: Any) -> None:
        self._notes: list[str] = []
        self._context = Context.of(p, self._notes.append)
        assert self._context.unet is not None
        remove_all_hooks(self._context.unet)
        self._parts = _parts(units, self._context)
        acting = [unit for part in self._parts for unit in part.units]
        self._leak_meters = leak_meters(acting, self._context)
        self._meter = EffectMeter() if any(unit.report for unit in units) else None
        self._passes: list[SamplingPass] = []  # of the batch under way
        self._current: SamplingPass | None = None

    @property
    def infotext(self) -> dict[str, str]:
        """A line for each unit, by key, in the order of their numbers."""
        written = {key: line for part in self._parts for key, line in part.infotext.items()}
        return dict(sorted(written.items(), key=lambda item: (len(item[0]), item[0])))

    @property
    def is_empty(self) -> bool:
        """True where no layer gets anything."""
        return not self._parts

    def begin(self, p: Any) -> None:
        """Hang on `p`: write infotext and comments, and see what `p.init` makes."""
        setattr(p, state.RUN, self)
        for part in self._parts:
            part.before_init(p)
        p.extra_generation_params.update(self.infotext)
        self._tell(p)

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
                with self._pass(p, steps):
                    return launch(steps, *args, **kwargs)
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
            for part in self._parts:
                part.before_sample(p)
            try:
                result = sample(*args, **kwargs)
                if not self._context.host.interrupted():
                    self._check_effect(p)
                self._report(p)
                return result
            finally:
                self._passes = []  # they hold the UNet, and another extension may hold `p`

        wrap_next_call(p, "sample", around)

    def _pass(self, p: Any, steps: int) -> ExitStack:
        """A block in which the hooks are on the UNet, and all parts act."""
        context = self._follow(p)
        plan = Plan.of(part.plan for part in self._parts).in_pass(context.host.is_hires_pass(p))
        region = context.host.region(p)
        if region is not None:
            plan = plan.within(region)
        told = any(part.tells_images_apart for part in self._parts)
        with ExitStack() as stack:
            current = SamplingPass(plan, context, steps, self._meter, told)
            stack.enter_context(current)
            self._current = current
            self._passes.append(current)
            for part in self._parts:
                stack.enter_context(part.around_sampling(p, current))
            return stack.pop_all()

    def _follow(self, p: Any) -> Context:
        """The context with the UNet that is sampled now: hires fix may have changed checkpoints."""
        before = self._context
        self._context = before.for_unet(before.host.unet(p))
        if self._context.known_layers.signature != before.known_layers.signature:
            self._parts = [part.for_checkpoint(self._context) for part in self._parts]
            self._tell(p)
            self._context.host.load_unet(p)  # the sampler had loaded it, and then encoders were
        return self._context

    def _tell(self, p: Any) -> None:
        for note in dict.fromkeys(self._notes):
            p.comment(f"InstantStyle: {note}")
        self._notes.clear()

    def _check_effect(self, p: Any) -> None:
        if not self._passes:
            raise InstantStyle(
                "the style could not be applied, because another script (such as img2img "
                "alternative test) does the sampling itself; switch one of the two off."
            )
        without_plan = [part for part in self._parts if part.plan.is_empty]
        if any(not part.replaced for part in without_plan):
            p.comment(f"InstantStyle: {_NO_STEP}.")
        if len(without_plan) == len(self._parts):
            return
        if not any(each.expected for each in self._passes):
            p.comment(f"InstantStyle: {_NO_STEP}, or none in the passes that hires_pass names.")
        elif not any(each.fired for each in self._passes):
            raise InstantStyle(self._passes[-1].why_nothing)

    def measure_leak(self, p: Any, image: Any) -> None:
        """Write what the finished picture `image` (PIL) shows of the references' content."""
        if not self._leak_meters:
            return
        last = getattr(p, "batch_index", 0) + 1 >= p.batch_size
        try:
            found = measure(self._leak_meters, image, self._context, last)
        except Exception as error:  # the picture is there; what is only printed would be missed
            p.comment(f"InstantStyle: the leak could not be measured ({reason(error)}).")
            return
        p.extra_generation_params.update(found)

    def _report(self, p: Any) -> None:
        for unit, factor in (self._passes[0].found_weights() if self._passes else {}).items():
            p.extra_generation_params[f"{INFOTEXT_KEY.format(unit)} auto"] = f"{factor:.3g}"
        if self._meter is None:
            return
        found = effect.block_effects(self._meter.effects(), self._context.known_layers.layout)
        SESSION.of(effect.LastReport).effects = tuple(found)
        p.extra_generation_params.update(effect.infotext(found))
        remark = effect.remark(found)
        if remark:
            p.comment(remark)


def _parts(units: Sequence[Unit], context: Context) -> list[Part]:
    """What each method does of `units`; those that add nothing are left out."""
    for unit, problem in conflicts(units):
        raise InstantStyleError(f"{unit.title}: {problem}")
    by_method: dict[str, list[Unit]] = {}
    for unit in units:
        by_method.setdefault(unit.method, []).append(unit)
    parts = [load(name).prepare(of_one, context) for name, of_one in by_method.items()]
    return [part for part in parts if not part.is_empty]


def start(p: Any, units: Sequence[Unit]) -> None:
    """Prepare a run for `p`; raises InstantStyleError if it cannot be had."""
    run = Run(units, p)
    if not run.is_empty:
        run.begin(p)
