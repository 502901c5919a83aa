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

from collections.abc import Callable, Container, Sequence
from contextlib import ExitStack
from typing import Any

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.refusal import InstantStyle
from lib_instantstyle.hosts.wrapping import unwrap, wrap_calls
from lib_instantstyle.methods import conflicts, load
from lib_instantstyle.methods.base import Part
from lib_instantstyle.references.unit_pictures import RequestPictures
from lib_instantstyle.run import effect, state
from lib_instantstyle.run.leak import leak_meters, measure
from lib_instantstyle.run.notes import note
from lib_instantstyle.run.sampling_pass import SamplingPass
from lib_instantstyle.session import SESSION
from lib_instantstyle.unet.effect_meter import EffectMeter
from lib_instantstyle.unet.injection import remove_all_hooks
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.units.choices import BOTH
from lib_instantstyle.units.infotext import CONTENT_KEY, INFOTEXT_KEY, NOTE_KEY
from lib_instantstyle.units.unit import Unit

_NO_STEP = "no sampling step falls between start and end"
_NO_PASS = f"{_NO_STEP}, or none in the passes that hires_pass names"


class Run:
    """The style of one generation."""

    def __init__(self, units: Sequence[Unit], p: Any) -> None:
        self._notes: list[tuple[int | None, str]] = []  # not yet told: number of the unit, sentence
        self._units = {unit.number: unit for unit in units}
        self._context = Context.of(p, self._notify)
        assert self._context.unet is not None
        remove_all_hooks(self._context.unet)
        self._signature = self._context.known_layers.signature
        self._layout = self._context.known_layers.layout
        self._parts = _parts(units, self._context)
        acting = {unit.number: unit for part in self._parts for unit in part.units}
        metered = [unit for unit in acting.values() if unit.leak_meter]
        self._leak_meters = leak_meters(metered, self._context) if metered else ()
        self._context.kept.of(RequestPictures).forget()  # this lives as long as the generation
        self._meter = EffectMeter() if any(unit.report for unit in units) else None
        self._passes: list[SamplingPass] = []  # of the batch under way
        self._current: SamplingPass | None = None
        self._is_sampling = False  # True from the first batch on
        self._written: dict[str, str | None] = {}  # notes of the batch: what stood there before

    @property
    def infotext(self) -> dict[str, str]:
        """The infotext lines of the units, by key, in the order of their numbers."""
        written: dict[str, str] = {}
        for part in reversed(self._parts):  # a method's own line is the fuller one
            written |= part.infotext
        return dict(sorted(written.items(), key=lambda item: (len(item[0]), item[0])))

    @property
    def is_empty(self) -> bool:
        """Whether no unit changes anything."""
        return not self._parts

    def begin(self, p: Any) -> None:
        """Attach the run to `p`: infotext, notes, and what parts do before `p.init`."""
        setattr(p, state.RUN, self)
        for part in self._parts:
            part.before_init(p)
        for sentence in (each for part in self._parts for each in part.comments):
            p.comment(f"InstantStyle: {sentence}")
        p.extra_generation_params.update(self.infotext)
        self.write_notes(p)

    def begin_step(self, params: Any) -> None:
        """The denoiser is about to evaluate a step."""
        if self._current is None:
            return
        try:
            self._current.begin_step(params)
        except Exception as error:  # the WebUI would print it and go on without style
            self._current.failure = error

    def arm(self, p: Any) -> None:
        """Have each `launch_sampling` of p's sampler run with the hooks on the UNet."""

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

        wrap_calls(p.sampler, "launch_sampling", around)

    def watch(self, p: Any) -> None:
        """Have each `p.sample` of a batch prepare the parts, and fail if no layer was reached."""

        def around(sample: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            self._passes = []
            self._take_back(p)
            self._is_sampling = True
            p.extra_generation_params.update(self.infotext)
            for part in self._parts:
                part.replaced, part.problem = 0, ""
                part.before_sample(p)
            try:
                result = sample(*args, **kwargs)
                self._check_effect(p)
                self._report(p)
                self.write_notes(p)
                return result
            finally:  # these hold the UNet, and another extension may hold `p`
                if getattr(p, "sampler", None) is not None:
                    unwrap(p.sampler, "launch_sampling")
                self._passes = []
                self._context = self._context.without_unet()

        wrap_calls(p, "sample", around)

    def _pass(self, p: Any, steps: int) -> ExitStack:
        """A context in which the hooks are on the UNet and all parts act."""
        context = self._follow(p)
        host = context.host
        whole = Plan.of(part.plan for part in self._parts)
        is_hires = host.is_hires_pass(p)
        plan = whole.in_pass(is_hires, host.cfg_scale(p))
        if (region := host.region(p)) is not None:
            plan = plan.within(region)
        tells_images_apart = any(part.tells_images_apart for part in self._parts)
        with ExitStack() as stack:
            current = SamplingPass(plan, context, steps, self._meter, tells_images_apart, is_hires)
            stack.enter_context(current)
            self._current = current
            self._passes.append(current)
            for part in (each for each in self._parts if each.is_in(is_hires)):
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
            self._context.host.load_unet(p)  # the sampler had loaded it, and then encoders were
        return self._context

    def _notify(self, sentence: str) -> None:
        self._notes.append((self._context.subject, sentence))

    def write_notes(self, p: Any) -> None:
        """Tell the user what was noted; what is about no unit stands with the first one."""
        for number, sentence in self._notes:
            about = self._units[min(self._units) if number is None else number]
            name = f"{about.tag}: " if number and about.tag and about.tag not in sentence else ""
            self._note(p, about.number, name + sentence)
        self._notes.clear()

    def _note(self, p: Any, number: int, sentence: str) -> None:
        key = NOTE_KEY.format(number)
        before = p.extra_generation_params.get(key)
        note(p, number, sentence)
        if self._is_sampling:
            self._written.setdefault(key, before)

    def _take_back(self, p: Any) -> None:
        """Take back the notes of the batch before."""
        for key, before in self._written.items():
            p.extra_generation_params[key] = before
            if before is None:
                del p.extra_generation_params[key]
        self._written.clear()

    def _check_effect(self, p: Any) -> None:
        """Raise an error if the sampling went past the hooks.

        A unit that has not acted is not written into infotext; a note says why.
        """
        interrupted = self._context.host.interrupted()
        if not self._passes and not interrupted:
            raise InstantStyle(
                "the style could not be applied, because another script (such as img2img "
                "alternative test) does the sampling itself; switch one of the two off."
            )
        acted = {number for each in self._passes for number in each.acted}
        expected = {number for each in self._passes for number in each.expected}
        if not interrupted:
            problems = [each.problem for each in self._passes]
            problems += [part.problem for part in self._parts]
            if expected and not acted:
                problems.append(self._passes[-1].why_nothing)
            if problem := next(filter(None, problems), ""):
                raise InstantStyle(problem)
            for sentence in filter(None, (each.remark for each in self._passes)):
                self._notify(sentence)
        for part, unit in [(each, unit) for each in self._parts for unit in each.units]:
            if _has_acted(part, unit, acted):
                continue
            if interrupted:
                why = "the generation was stopped before it acted"
            elif unit.number in expected:
                why = "no layer that it acts in was reached in the steps between start and end"
            else:
                why = _NO_STEP if unit.hires_pass == BOTH else _NO_PASS
            if any(_has_acted(each, unit, acted) for each in self._parts if unit in each.units):
                what = f"its {part.title}"
            else:
                what = "it"
                for key in (INFOTEXT_KEY, CONTENT_KEY):
                    p.extra_generation_params.pop(key.format(unit.number), None)
            self._note(p, unit.number, f"{unit.title}: {what} changed nothing, because {why}.")

    def measure_leak(self, p: Any, image: Any) -> None:
        """Write the leak meters' lines about the finished picture `image` (PIL) into infotext."""
        if not self._leak_meters:
            return
        last = getattr(p, "batch_index", 0) + 1 >= p.batch_size
        try:
            found = measure(self._leak_meters, image, self._context, last)
        except Exception as error:  # the picture is there; what is only printed would be missed
            sentence = f"the leak could not be measured ({reason(error)})."
            self._note(p, self._leak_meters[0].number, sentence)
        else:
            p.extra_generation_params.update(found)

    def _report(self, p: Any) -> None:
        for part in self._parts:
            p.extra_generation_params.update(part.measured)
        for unit, factor in (self._passes[0].found_weights() if self._passes else {}).items():
            p.extra_generation_params[f"{INFOTEXT_KEY.format(unit)} auto"] = f"{factor:.3g}"
        if self._meter is None:
            return
        found = effect.block_effects(self._meter.effects(), self._layout)
        spectra = effect.spectra(term for part in self._parts for term in part.plan.terms)
        last = SESSION.of(effect.LastReport)
        last.effects, last.spectra = tuple(found), tuple(spectra)
        p.extra_generation_params.update(effect.infotext(found, spectra))
        if remark := effect.remark(found):
            self._note(p, found[0].unit, remark)


def _parts(units: Sequence[Unit], context: Context) -> list[Part]:
    """One part for each method that `units` have; empty parts are left out."""
    using = [unit for unit in units if unit.uses_method]
    for unit, problem in conflicts(using):
        raise InstantStyleError(f"{unit.title}: {problem}")
    by_method: dict[str, list[Unit]] = {}
    for unit in using:
        by_method.setdefault(unit.method, []).append(unit)
    prepared = [load(name).prepare(own, context) for name, own in by_method.items()]
    parts = [part for part in prepared if not part.is_empty]
    locked = [unit for part in parts for unit in part.units if unit.layout_lock]
    if coloured := [unit for unit in units if unit.palette]:
        from lib_instantstyle.methods.palette import palette_part

        parts.append(palette_part(coloured, context))  # last: it changes what the others predict
    if locked:
        from lib_instantstyle.methods.layout_lock import layout_part

        parts.append(layout_part(locked, context))  # it sees what the sampler will
    return parts


def _has_acted(part: Part, unit: Unit, acted: Container[int]) -> bool:
    """Whether `part` did something for `unit`.

    acted: numbers of the units of which a layer received a term.
    """
    return part.replaced > 0 if part.plan.is_empty else unit.number in acted


def start(p: Any, units: Sequence[Unit]) -> None:
    """Prepare the run of `units` and attach it to `p`, if it changes anything.

    Raises InstantStyleError, naming the unit, if one cannot act.
    """
    run = Run(units, p)
    if run.is_empty:
        run.write_notes(p)
    else:
        run.begin(p)
