"""What a method is: it describes a unit, checks it, and prepares its part of a generation.

A generation and a dry run call the same `check`. `methods.load` gives the method of a name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from lib_instantstyle.content.removal import Removal
from lib_instantstyle.errors import InstantStyleError, NoReference
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.unet.call_state import Rows
from lib_instantstyle.unet.inversion import Denoiser
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.units.choices import BASE, HIRES
from lib_instantstyle.units.unit import Unit

if TYPE_CHECKING:
    from lib_instantstyle.styles.file import Style


@dataclass(frozen=True)
class StatusText:
    """The status line of a unit on the page, and the data of its block map; None without a map.

    files: where a model file is missing, the names of published ones that mend it; else None.
    """

    text: str
    is_problem: bool = False
    block_map: Mapping[str, object] | None = None
    files: Sequence[str] | None = None


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
    # Its image embeds are cached: no image encoder would be loaded for it. Never where strangers
    # may use the API.
    remembered: bool


@dataclass(frozen=True)
class Cost:
    """What a unit would have to do before the first sampling step, because it is not remembered.

    text: a sentence. bytes: of weights, read from model files. encoded: pictures that the image
    encoder would run on, the zero image among them. layers: whose keys and values are projected.
    """

    text: str
    bytes: int
    encoded: int
    layers: int


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
    # What is taken out of each reference, as far as that is known without encoding it.
    content: list[Removal] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)  # counted from 1, of the only or first pass
    hires_steps: list[int] = field(default_factory=list)
    cost: Cost | None = None  # of the methods that read model files of their own: IP-Adapter
    purified: str = ""  # until which step
    layout: str = ""  # in which steps it is locked
    palette: str = ""  # in which steps the colours are moved
    remarks: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)  # reasons why it would change nothing
    problems: list[str] = field(default_factory=list)  # reasons why no picture would be made


class Findings:
    """Collects the results of checking one unit.

    is_dry_run: if True problems are collected in the plan, otherwise the first one is raised. cost:
    finds out what the unit would cost; called where somebody wants to know.
    """

    def __init__(self, unit: Unit, is_dry_run: bool = False) -> None:
        self.is_dry_run = is_dry_run
        self.cost: Callable[[], Cost] | None = None
        self.plan = UnitPlan(unit.number, unit.method)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note an InstantStyleError raised in this block as a problem; raise it in a generation."""
        try:
            yield
        except InstantStyleError as error:
            if not self.is_dry_run:
                raise
            problem = str(error).removeprefix(f"unit {self.plan.unit}: ")
            if problem not in self.plan.problems:  # method and palette look at the same pictures
                self.plan.problems.append(problem)

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
def naming(unit: Unit, context: Context) -> Iterator[None]:
    """A block that is about `unit`.

    The unit's number, or its tag, is put before an InstantStyleError raised in it. Sentences for
    the user are noted for the unit.
    """
    try:
        with context.about(unit.number):
            yield
    except NoReference:
        raise
    except InstantStyleError as error:
        raise InstantStyleError(f"{unit.title}: {error}") from error


class Pass(Protocol):
    """One run of the sampler."""

    @property
    def unet(self) -> nn.Module:
        """The UNet at its beginning; a refiner may replace it later."""

    @property
    def context(self) -> Context:
        """The context of the generation, with the layers of that UNet."""

    @property
    def steps(self) -> int:
        """How many of the sampler's steps it executes."""

    @property
    def is_hires(self) -> bool:
        """Whether it is hires fix's second one."""

    def fraction(self, denoiser: Any, level: torch.Tensor) -> float:
        """Its completed share before an evaluation; see SamplerProgress.fraction."""

    @property
    def spares_first(self) -> bool:
        """Whether the first picture of each batch gets no style."""

    @property
    def rows(self) -> Rows | None:
        """Codes of the rows of the current UNet call (see unet/rows.py)."""

    def outside_sampling(self, denoiser: Denoiser) -> Denoiser:
        """`denoiser` with UNet calls that get no term and whose rows are not counted."""


class Part:
    """What one method does in one generation.

    units: those that act. plan: the terms that hooks on the UNet add. infotext: lines by key.
    comments: sentences for the page about what infotext has in lines of its own. replaced: how
    often a method that has no plan has replaced a tensor. problem: why some layer that it should
    have acted in was never reached; "" if none.
    """

    title = "style"  # what of a unit it is, in sentences
    tells_images_apart = False  # whether `Pass.rows` must name the image of each row

    def __init__(
        self,
        units: Sequence[Unit],
        plan: Plan | None = None,
        infotext: Mapping[str, str] | None = None,
        comments: Sequence[str] = (),
    ) -> None:
        self.units = tuple(units)
        self.plan = plan or Plan(())
        self.infotext = dict(infotext or {})
        self.comments = tuple(comments)
        self.replaced, self.problem = 0, ""
        self.all_units = self.units  # those too that add nothing to this UNet

    @property
    def measured(self) -> Mapping[str, str]:
        """Further infotext lines by key, known when the sampling has ended."""
        return {}

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return self.plan.is_empty

    def is_in(self, is_hires: bool) -> bool:
        """Whether one of its units acts in hires fix's second pass, or in the other one."""
        return any(unit.hires_pass != (BASE if is_hires else HIRES) for unit in self.units)

    def before_init(self, p: Any) -> None:
        """Called before `p.init`."""

    def before_sample(self, p: Any) -> None:
        """Called before `p.sample`, when the UNet is not needed yet."""

    def around_sampling(self, p: Any, current: Pass) -> AbstractContextManager[None]:
        """The context in which the sampler runs."""
        return nullcontext()

    def for_checkpoint(self, context: Context) -> Part:
        """The part for the UNet of `context`, to which the WebUI has changed in the meantime."""
        return self


class Method(ABC):
    """A way to get a style into a picture."""

    @abstractmethod
    def describe(self, unit: Unit, context: Context) -> StatusText:
        """What `unit`, without regard to its pictures, would do with the chosen checkpoint.

        Loads no weights. Raises InstantStyleError where not even a block map can be drawn.
        """

    @abstractmethod
    def check(self, unit: Unit, context: Context, findings: Findings) -> Any:
        """Check `unit` as far as that needs no model's weights, and note the plan in `findings`.

        Returns what `prepare` of the method needs, or None if the unit changes nothing. In a dry
        run `findings` collects all problems; in a generation it raises the first one.
        """

    def prepare(self, units: Sequence[Unit], context: Context) -> Part:
        """The part for `units`, those of a generation's units that have this method.

        Raises InstantStyleError, naming the unit, if one cannot act.
        """
        checked: list[tuple[Unit, Any]] = []
        for unit in units:
            findings = Findings(unit)
            with naming(unit, context):
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
        """The image encoder that `unit` uses; None if the method needs none."""
        return None

    def style_of(self, unit: Unit, context: Context) -> Style:
        """The style to save for `unit`; raises InstantStyleError if the method has no styles."""
        raise InstantStyleError(f"method {unit.method} cannot be saved as a style.")
