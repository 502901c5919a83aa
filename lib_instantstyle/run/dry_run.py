"""A dry run: what a generation would do with its units, and all its problems.

The checks are those of a generation, but collect the problems instead of raising the first one.
No image is generated. The chosen checkpoint is not loaded; if it is in memory and not in use, its
text encoder may encode the content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import current
from lib_instantstyle.hosts.checkpoint import checkpoint_in_memory, chosen_layers, chosen_name
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.live import queue_lock_if_free
from lib_instantstyle.methods import TABLE, conflicts, load
from lib_instantstyle.methods.base import Findings, UnitPlan
from lib_instantstyle.methods.layout_lock import check_layout
from lib_instantstyle.methods.palette import check_palette
from lib_instantstyle.methods.recolouring import in_words as steps_in_words
from lib_instantstyle.methods.recolouring import steps_in_window
from lib_instantstyle.run.leak import check_meter
from lib_instantstyle.run.requested import RequestedGeneration
from lib_instantstyle.unet.plan import when_of
from lib_instantstyle.units.choices import BASE, HIRES
from lib_instantstyle.units.ineffective import ineffective
from lib_instantstyle.units.unit import Unit


@dataclass
class DryRun:
    """What a generation would do; the API's answer to `plan`."""

    checkpoint: str | None  # name of the checkpoint; None if there is none
    layout: str | None  # id of its layout; None if its family is unknown
    in_memory: bool  # whether the checkpoint is loaded
    units: list[UnitPlan]
    problems: list[str]  # of all units, each with the number of its unit


def dry_run(
    given: Sequence[Mapping[str, object]],
    request: RequestedGeneration,
    tagged: Sequence[Unit] = (),
) -> DryRun:
    """Check the units of `request` for the chosen checkpoint.

    given: the units as Table.given_units returns them. tagged: units made from the tags in the
    prompt, numbered after `given`.
    """
    problems = [] if given or tagged else ["InstantStyle is off: no unit was sent."]
    name, layers = None, None
    try:
        name = chosen_name(request.checkpoint)
        layers = chosen_layers(request.checkpoint)
    except InstantStyleError as error:
        problems.append(str(error))
    loaded, unet = checkpoint_in_memory(request.checkpoint) if name else None, None
    with queue_lock_if_free() as free:
        if loaded is not None and free:
            unet = current(loaded).unet(loaded)
    context = Context(replace(request, sd_model=loaded and loaded.sd_model), unet, layers)
    checks = check_units(given, context, tagged)
    for _, findings in checks:
        if findings.cost is not None and not findings.plan.idle:
            with findings.noting():
                findings.plan.cost = findings.cost()
    for plan in (findings.plan for _, findings in checks):
        problems += [_named(plan.unit, text) for text in (*plan.problems, *plan.idle)]
    units = [findings.plan for _, findings in checks]
    return DryRun(name, layers.layout.id if layers else None, loaded is not None, units, problems)


def check_units(
    given: Sequence[Mapping[str, object]],
    context: Context,
    tagged: Sequence[Unit] = (),
    only: int | None = None,
) -> list[tuple[Unit, Findings]]:
    """Each unit of a generation, with what its check found.

    context: its `p` is a RequestedGeneration. given, tagged: see `dry_run`. The units are numbered
    from 1, or as `given` says. only: the number of the one that is checked; of the others no more
    is found than whether they can be together.
    """
    checks = [parsed_unit(values, number) for number, values in enumerate(given, start=1)]
    checks += [(unit, Findings(unit, is_dry_run=True)) for unit in tagged]
    for unit, problem in conflicts([u for u, _ in checks if u.acts and u.uses_method]):
        next(found for other, found in checks if other is unit).problem(problem)
    for unit, findings in checks:
        if only in (None, unit.number):
            _note_steps(unit, context, findings)
            _check(unit, context, findings)
    return checks


def _check(unit: Unit, context: Context, findings: Findings) -> None:
    checked: object = None
    for remark in ineffective(unit) if context.p.is_api else ():
        findings.remark(remark)
    if unit.uses_method or not unit.palette:
        with findings.noting():
            checked = load(unit.method).check(unit, context, findings)
    if unit.palette:
        checked = check_palette(unit, context, findings) or checked
        findings.plan.palette = _palette_steps(unit, context)
    if unit.layout_lock and unit.uses_method:
        with findings.noting():
            check_layout(unit, context, findings)
    if checked is not None and context.layers is not None:
        with findings.noting():
            check_meter(unit, context)


def _palette_steps(unit: Unit, context: Context) -> str:
    """In which steps the colours are moved."""
    request, texts = context.p, []
    if unit.hires_pass != HIRES and request.steps:
        texts.append(steps_in_words(steps_in_window(request.steps), request.steps))
    if unit.hires_pass != BASE and request.hires_steps:
        found = steps_in_words(steps_in_window(request.hires_steps), request.hires_steps)
        texts.append(f"hires fix {found}")
    return "; ".join(texts)


def _named(number: int, problem: str) -> str:
    """`problem` with the number of its unit before it, unless the sentence has it already."""
    return problem if problem.startswith(f"Unit {number} ") else f"unit {number}: {problem}"


def parsed_unit(values: Mapping[str, object], number: int) -> tuple[Unit, Findings]:
    """The unit with its valid fields, and findings with the problems of the others."""
    unit = TABLE.unit_type(number=number)
    findings = Findings(unit, is_dry_run=True)
    sound = {}
    for key, value in values.items():
        with findings.noting():
            TABLE.parse_unit({key: value}, number)
            sound[key] = value
    with findings.noting():
        unit = TABLE.parse_unit(sound, number)
    findings.plan.method = unit.method
    return unit, findings


def _note_steps(unit: Unit, context: Context, findings: Findings) -> None:
    """Note in which steps the unit acts, and why it would change nothing."""
    request = context.p
    for reason in unit.why_idle:
        findings.idle(reason)
    if unit.empty_range:
        return
    if unit.hires_pass == HIRES and not request.hires_steps:
        findings.idle("it acts in hires fix's second pass only, and there is none.")
        return
    acting_steps = when_of(unit).acting_steps
    if unit.hires_pass != HIRES:
        findings.plan.steps = [step + 1 for step in acting_steps(request.steps)]
    if unit.hires_pass != BASE:
        findings.plan.hires_steps = [step + 1 for step in acting_steps(request.hires_steps)]
    if not findings.plan.steps and not findings.plan.hires_steps:
        findings.idle(f"no sampling step of {request.steps} falls between start and end.")


def in_words(run: DryRun) -> str:
    """`run` as text for people; its problems come last."""
    lines = [f"Checkpoint: {run.checkpoint or 'none'}"]
    for unit in run.units:
        lines.append(f"Unit {unit.unit}: {unit.method}")
        if unit.adapter:
            encoder = f", seen through {unit.encoder}" if unit.encoder else ""
            lines.append(f"  {unit.adapter} ({unit.kind}){encoder}")
        lines += [
            f"  {block.name}: weight {block.weight:g}"
            + (", against the negative prompt" if block.swapped else "")
            for block in unit.blocks
        ]
        lines += [
            f"  reference of {each.width} x {each.height}"
            + (", seen before" if each.remembered else "")
            for each in unit.references
        ]
        if unit.style:
            lines.append(f"  saved style {unit.style}")
        if unit.subtracted:
            lines.append(f"  taken out: {unit.subtracted}")
        lines += [
            f"  of reference {i}: {each.in_words()}" for i, each in enumerate(unit.content, start=1)
        ]
        for title, steps in (("steps", unit.steps), ("steps of hires fix", unit.hires_steps)):
            if steps:
                lines.append(f"  {title} {steps[0]} to {steps[-1]}")
        if unit.palette:
            lines.append(f"  palette: steps {unit.palette}")
        if unit.layout:
            lines.append(f"  layout locked: steps {unit.layout}")
        if unit.purified:
            lines.append(f"  purified: {unit.purified}")
        if unit.cost:
            lines.append(f"  before the first step: {unit.cost.text}")
        lines += [f"  {remark}" for remark in unit.remarks]
    return "\n".join([*lines, *(f"Problem: {problem}" for problem in run.problems)])
