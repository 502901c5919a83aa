"""What a method is: it describes a unit, checks it, and prepares its part of a generation.

A generation and a dry run call the same `check`. `methods.load` gives the method of a name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods.findings import Findings, naming
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
