"""One generation with style: its state is an attribute of `p`, its hooks live during sampling.

A WebUI generation meets this in four places, in this order:

- `process`: the units are checked and their parts prepared. An error stops the generation through
  `p.init`, because the WebUI only prints an exception raised in a script's hook.
- `process_batch`: `p.sample` is wrapped, to find out afterwards whether any layer was reached.
- `process_before_every_sampling`: `launch_sampling` of this sampler is wrapped; the hooks are on
  the UNet inside it and nowhere else.
- `on_cfg_denoiser`: the current pass gets the parameters of the denoiser's next step.
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
from lib_instantstyle.references.unit_pictures import RequestPictures
from lib_instantstyle.run import effect, state
from lib_instantstyle.run.leak import leak_meters, measure
from lib_instantstyle.run.sampling_pass import SamplingPass
from lib_instantstyle.session import SESSION
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.injection import remove_all_hooks
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
        self._signature = self._context.known_layers.signature
        self._layout = self._context.known_layers.layout
        self._parts = _parts(units, self._context)
        metered = [unit for part in self._parts for unit in part.units if unit.leak_meter]
        self._leak_meters = leak_meters(metered, self._context) if metered else ()
        self._context.kept.of(RequestPictures).forget()  # this lives as long as the generation
        self._meter = EffectMeter() if any(unit.report for unit in units) else None
        self._passes: list[SamplingPass] = []  # of the batch under way
        self._current: SamplingPass | None = None

    @property
    def infotext(self) -> dict[str, str]:
        """The infotext lines of the units, by key, in the order of their numbers."""
        written = {key: line for part in self._parts for key, line in part.infotext.items()}
        return dict(sorted(written.items(), key=lambda item: (len(item[0]), item[0])))

    @property
    def is_empty(self) -> bool:
        """Whether no unit changes anything."""
        return not self._parts

    def begin(self, p: Any) -> None:
        """Attach the run to `p`: infotext, comments, and what parts do before `p.init`."""
        setattr(p, state.RUN, self)
        for part in self._parts:
            part.before_init(p)
        p.extra_generation_params.update(self.infotext)
        self._comment(p)

    def begin_step(self, params: Any) -> None:
        """The denoiser is about to evaluate a step."""
        if self._current is None:
            return
        try:
            self._current.begin_step(params)
        except Exception as error:  # the WebUI would print it and go on without style
            self._current.failure = error

    def arm(self, p: Any) -> None:
        """Have the next `launch_sampling` of p's sampler run with the hooks on the UNet."""

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
        """Have the next `p.sample` prepare the parts, and fail if no layer was reached."""

        def around(sample: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            self._passes = []
            for part in self._parts:
                part.replaced = 0
                part.before_sample(p)
            try:
                result = sample(*args, **kwargs)
                if not self._context.host.interrupted():
                    self._check_effect(p)
                self._report(p)
                return result
            finally:  # these hold the UNet, and another extension may hold `p`
                self._passes = []
                self._context = self._context.without_unet()

        wrap_next_call(p, "sample", around)

    def _pass(self, p: Any, steps: int) -> ExitStack:
        """A context in which the hooks are on the UNet and all parts act."""
        context = self._follow(p)
        plan = Plan.of(part.plan for part in self._parts).in_pass(context.host.is_hires_pass(p))
        region = context.host.region(p)
        if region is not None:
            plan = plan.within(region)
        tells_images_apart = any(part.tells_images_apart for part in self._parts)
        with ExitStack() as stack:
            current = SamplingPass(plan, context, steps, self._meter, tells_images_apart)
            stack.enter_context(current)
            self._current = current
            self._passes.append(current)
            for part in self._parts:
                stack.enter_context(part.around_sampling(p, current))
            return stack.pop_all()

    def _follow(self, p: Any) -> Context:
        """The context with the current UNet, which hires fix may have replaced by another."""
        self._context = self._context.with_unet(p, self._context.host.unet(p))
        layers = self._context.known_layers
        if layers.signature != self._signature:
            self._signature, self._layout = layers.signature, layers.layout
            self._parts = [part.for_checkpoint(self._context) for part in self._parts]
            self._context.kept.of(RequestPictures).forget()
            self._comment(p)
            self._context.host.load_unet(p)  # the sampler had loaded it, and then encoders were
        return self._context

    def _comment(self, p: Any) -> None:
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
        """Write the leak meters' lines about the finished picture `image` (PIL) into infotext."""
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
        found = effect.block_effects(self._meter.effects(), self._layout)
        SESSION.of(effect.LastReport).effects = tuple(found)
        p.extra_generation_params.update(effect.infotext(found))
        remark = effect.remark(found)
        if remark:
            p.comment(remark)


def _parts(units: Sequence[Unit], context: Context) -> list[Part]:
    """One part for each method that `units` have; empty parts are left out."""
    for unit, problem in conflicts(units):
        raise InstantStyleError(f"{unit.title}: {problem}")
    by_method: dict[str, list[Unit]] = {}
    for unit in units:
        by_method.setdefault(unit.method, []).append(unit)
    parts = [load(name).prepare(own, context) for name, own in by_method.items()]
    return [part for part in parts if not part.is_empty]


def start(p: Any, units: Sequence[Unit]) -> None:
    """Prepare the run of `units` and attach it to `p`, if it changes anything.

    Raises InstantStyleError, naming the unit, if one cannot act.
    """
    run = Run(units, p)
    if not run.is_empty:
        run.begin(p)
