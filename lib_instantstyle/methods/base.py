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
from lib_instantstyle.methods.findings import Findings
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.unet.attention_hook import Rows
from lib_instantstyle.unet.inversion import Denoiser
from lib_instantstyle.unet.plan import Plan
from lib_instantstyle.units.unit import Unit

if TYPE_CHECKING:
    from lib_instantstyle.styles.file import Style


@dataclass(frozen=True)
class StatusText:
    """The status line of a unit on the page, and the data of its block map; None without a map."""

    text: str
    is_problem: bool = False
    block_map: Mapping[str, object] | None = None


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
        """The number of steps that it executes."""

    @property
    def rows(self) -> Rows | None:
        """Codes of the rows of the current UNet call (see unet/rows.py)."""

    def outside_sampling(self, denoiser: Denoiser) -> Denoiser:
        """`denoiser` with UNet calls that get no term and whose rows are not counted."""


class Part:
    """What one method does in one generation.

    units: those that act. plan: the terms that hooks on the UNet add. infotext: lines by key.
    replaced: how often a method that has no plan has replaced a tensor.
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

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return self.plan.is_empty

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

    @abstractmethod
    def prepare(self, units: Sequence[Unit], context: Context) -> Part:
        """The part for `units`, those of a generation's units that have this method.

        Raises InstantStyleError, naming the unit, if one cannot act.
        """

    def image_encoder(self, unit: Unit, context: Context) -> ImageEncoderFile | None:
        """The image encoder that `unit` uses; None if the method needs none."""
        return None

    def style_of(self, unit: Unit, context: Context) -> Style:
        """The style to save for `unit`; raises InstantStyleError if the method has no styles."""
        raise InstantStyleError(f"method {unit.method} cannot be saved as a style.")
