"""What a dry run finds out: plain data, and the same in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.methods import TABLE


@dataclass(frozen=True)
class BlockPlan:
    """One transformer that would get something."""

    index: int
    name: str
    weight: float
    swapped: bool  # it acts on the negative prompt's rows instead of the prompt's
    layers: int


@dataclass(frozen=True)
class ReferencePlan:
    """One reference picture."""

    width: int
    height: int
    sha256: str
    weight: float
    remembered: bool  # its embedding is: no image encoder would be loaded for it


@dataclass
class UnitPlan:
    """What one unit would do, as far as that could be found out."""

    unit: int
    method: str = TABLE.usual_method
    adapter: str | None = None
    kind: str | None = None
    encoder: str | None = None
    style: str | None = None  # saved, instead of references
    blocks: list[BlockPlan] = field(default_factory=list)
    references: list[ReferencePlan] = field(default_factory=list)
    subtracted: str = ""
    steps: list[int] = field(default_factory=list)  # counted from 1, of the only or first pass
    hires_steps: list[int] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)  # reasons why it would change nothing
    problems: list[str] = field(default_factory=list)  # reasons why no picture would be made

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Take an error as one of the problems, and go on."""
        try:
            yield
        except InstantStyleError as error:
            self.problems.append(str(error).removeprefix(f"unit {self.unit}: "))


@dataclass
class DryRun:
    """What a generation would do."""

    checkpoint: str | None
    layout: str | None
    in_memory: bool
    units: list[UnitPlan]
    problems: list[str]


def in_words(run: DryRun) -> str:
    """A dry run for a person: one line for each thing, problems last."""
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
        for title, steps in (("steps", unit.steps), ("steps of hires fix", unit.hires_steps)):
            if steps:
                lines.append(f"  {title} {steps[0]} to {steps[-1]}")
        lines += [f"  {remark}" for remark in unit.remarks]
    return "\n".join([*lines, *(f"Problem: {problem}" for problem in run.problems)])
