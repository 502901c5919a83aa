"""What checking a unit finds out: plain data, problems and remarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lib_instantstyle.errors import InstantStyleError, NoReference
from lib_instantstyle.units.unit import Unit


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
    """Takes what the check of one unit finds.

    is_dry_run: whether a plan is all that is made; problems are then collected, otherwise the first
    one is raised.
    """

    def __init__(self, unit: Unit, is_dry_run: bool = False) -> None:
        self.is_dry_run = is_dry_run
        self.plan = UnitPlan(unit.number, unit.method)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Take an error in this block as one of the problems, and go on."""
        try:
            yield
        except InstantStyleError as error:
            if not self.is_dry_run:
                raise
            self.plan.problems.append(str(error).removeprefix(f"unit {self.plan.unit}: "))

    def problem(self, sentence: str) -> None:
        """A reason why no picture can be made."""
        with self.noting():
            raise InstantStyleError(sentence)

    def remark(self, sentence: str) -> None:
        """Something that the user should know beside the picture."""
        self.plan.remarks.append(sentence)

    def idle(self, sentence: str) -> None:
        """A reason why the unit changes nothing."""
        self.plan.idle.append(sentence)


@contextmanager
def naming(unit: Unit) -> Iterator[None]:
    """Put the unit's number, or its tag, before an error."""
    try:
        yield
    except NoReference:
        raise
    except InstantStyleError as error:
        raise InstantStyleError(f"{unit.title}: {error}") from error
