"""What a method is: it describes a unit, checks it, and prepares its part of a generation.

A generation and a dry run call the same `check`. `methods.load` gives the method of a name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from lib_instantstyle.errors import InstantStyleError, NoReference
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.unet.attention_hook import Rows
from lib_instantstyle.unet.inversion import Denoiser
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.units.unit import Unit

if TYPE_CHECKING:
    from lib_instantstyle.styles.file import Style


@dataclass(frozen=True)
class StatusText:
    """What the page says of a unit, and what its block map draws; None where no map is drawn."""

    text: str
    is_problem: bool = False
    block_map: Mapping[str, object] | None = None


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


class Pass(Protocol):
    """One run of the sampler."""

    @property
    def unet(self) -> nn.Module:
        """The UNet that it began with."""

    @property
    def context(self) -> Context:
        """Of the generation, with the layers of that UNet."""

    @property
    def steps(self) -> int:
        """Steps that it executes."""

    @property
    def rows(self) -> Rows | None:
        """Codes of the rows of the UNet call under way (see unet/rows.py)."""

    def outside_sampling(self, denoiser: Denoiser) -> Denoiser:
        """`denoiser` with UNet calls that are no part of the sampling."""


class Part:
    """What one method does in one generation; it hangs on `p` with the rest of the run.

    units: those that act. plan: the terms that hooks on the UNet add. infotext: by key. replaced:
    how often something was replaced that no plan holds.
    """

    tells_images_apart = False  # whether `Pass.rows` must name the image of each row

    def __init__(
        self,
        units: Sequence[Unit],
        plan: Plan | None = None,
        infotext: Mapping[str, str] | None = None,
    ) -> None:
        self.units = tuple(units)
        self.plan = plan or Plan(())
        self.infotext = dict(infotext or {})
        self.replaced = 0
        self.all_units = self.units  # those too that add nothing to this UNet

    @property
    def is_empty(self) -> bool:
        """True where it adds nothing."""
        return self.plan.is_empty

    def before_init(self, p: Any) -> None:
        """`p.init` is called next."""

    def before_sample(self, p: Any) -> None:
        """`p.sample` is called next; the UNet is not needed yet."""

    def around_sampling(self, p: Any, current: Pass) -> AbstractContextManager[None]:
        """Entered while the sampler runs."""
        return nullcontext()

    def for_checkpoint(self, context: Context) -> Part:
        """The same for another UNet, which the WebUI has changed to in between."""
        return self


class Method(ABC):
    """A way to get a style into a picture."""

    @abstractmethod
    def describe(self, unit: Unit, context: Context) -> StatusText:
        """What `unit`, its pictures aside, would do with the chosen checkpoint.

        Nothing is generated or loaded. Raises InstantStyleError where not even a map can be drawn.
        """

    @abstractmethod
    def check(self, unit: Unit, context: Context, findings: Findings) -> Any:
        """Find out all that needs no model: what `unit` does, what to say, what is wrong.

        What is returned is the method's own, None where the unit adds nothing. `findings` takes
        problems one by one in a dry run, and raises the first one in a generation.
        """

    def prepare(self, units: Sequence[Unit], context: Context) -> Part:
        """The part of those of a generation's units that have this method.

        Raises InstantStyleError, naming the unit, for anything that cannot be had.
        """
        checked: list[tuple[Unit, Any]] = []
        for unit in units:
            findings = Findings(unit)
            with naming(unit):
                found = self.check(unit, context, findings)
            if found is not None:
                checked.append((unit, found))
                for remark in findings.plan.remarks:
                    context.notify(remark)
        part = self.part(checked, context)
        part.all_units = tuple(units)
        return part

    @abstractmethod
    def part(self, checked: Sequence[tuple[Unit, Any]], context: Context) -> Part:
        """The part of units that add something, each with what `check` returned for it.

        Raises InstantStyleError, naming the unit, for anything that cannot be had.
        """

    def image_encoder(self, unit: Unit, context: Context) -> ImageEncoderFile | None:
        """The image encoder that `unit` uses; None where it uses none."""
        return None

    def style_of(self, unit: Unit, context: Context) -> Style:
        """What is kept of `unit` as a saved style, if the method takes these."""
        raise InstantStyleError(f"method {unit.method} cannot be saved as a style.")
