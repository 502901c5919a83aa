"""The results of checking a unit: its plan as plain data, its problems and remarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lib_instantstyle.errors import InstantStyleError, NoReference
from lib_instantstyle.units.unit import Unit


@dataclass(frozen=True)
class BlockPlan:
    """One transformer in which a unit would act."""

    index: int
    name: str
    weight: float
    swapped: bool  # acts in the negative prompt's rows instead of the prompt's
    layers: int  # how many of its cross-attentions (B-LoRA: linear layers)


@dataclass(frozen=True)
class ReferencePlan:
    """One reference picture."""

    width: int
    height: int
    sha256: str
    weight: float
    remembered: bool  # its image embeds are cached: no image encoder would be loaded for it


@dataclass
class UnitPlan:
    """What one unit would do, as far as the checks could tell."""

    unit: int
    method: str
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


class Findings:
    """Collects the results of checking one unit.

    is_dry_run: if True problems are collected in the plan, otherwise the first one is raised.
    """

    def __init__(self, unit: Unit, is_dry_run: bool = False) -> None:
        self.is_dry_run = is_dry_run
        self.plan = UnitPlan(unit.number, unit.method)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note an InstantStyleError raised in this block as a problem; raise it in a generation."""
        try:
            yield
        except InstantStyleError as error:
            if not self.is_dry_run:
                raise
            self.plan.problems.append(str(error).removeprefix(f"unit {self.plan.unit}: "))

    def problem(self, sentence: str) -> None:
        """Note a reason why the generation would fail; raise it in a generation."""
        with self.noting():
            raise InstantStyleError(sentence)

    def remark(self, sentence: str) -> None:
        """Note a sentence for the user that stops nothing."""
        self.plan.remarks.append(sentence)

    def idle(self, sentence: str) -> None:
        """Note a reason why the unit changes nothing."""
        self.plan.idle.append(sentence)


@contextmanager
def naming(unit: Unit) -> Iterator[None]:
    """Put the unit's number, or its tag, before an InstantStyleError raised in this block."""
    try:
        yield
    except NoReference:
        raise
    except InstantStyleError as error:
        raise InstantStyleError(f"{unit.title}: {error}") from error
