"""What a field of a unit is, and what a method declares. Everything else is derived from these:
the page's controls, axes of plots, request schemas, infotext and the documentation's table.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from lib_instantstyle.units.advice import Advice
from lib_instantstyle.units.values import (
    Boolean,
    Integer,
    Number,
    OneOf,
    OnePicture,
    Parser,
    References,
    Share,
)

# Groups of the page, in its order; those of ADVANCED are folded.
TOP = "top"  # across the unit
MAIN = ""  # beside the reference
WORDS = "words"  # beside the button that suggests some; under the title of CONTENT
STYLES = "Saved styles"
METHOD = "Method"  # fields of single methods
BLOCKS = "Blocks and weights"
WHEN = "When the style acts"
REFERENCE = "Reference"
CONTENT = "Keep the reference's content out"
NEGATIVE = "Negative prompt"
MEASURED = "Measured with the picture"
OTHER = "Other"
PICTURES = "Region and masks"
ADVANCED = (BLOCKS, WHEN, REFERENCE, CONTENT, NEGATIVE, MEASURED, OTHER)
SELF_ATTENTION = "self-attention"  # one unit at most may work on it
EVERY_UNIT = 3  # units of which an X/Y/Z plot has axes


@dataclass(frozen=True)
class Slider:
    """A slider over the parser's range."""

    step: float = 0.05


@dataclass(frozen=True)
class Words:
    """A line of text."""

    placeholder: str = ""


@dataclass(frozen=True)
class Dropdown:
    """A list of the parser's words."""


@dataclass(frozen=True)
class Files:
    """A list of files, looked up when the page is opened: "adapters", "styles" or "loras"."""

    kind: str


@dataclass(frozen=True)
class Tick:
    """A box to tick."""


@dataclass(frozen=True)
class DropZone:
    """A box that a picture is dropped into; it travels as text behind all other values.

    place: its order among the pictures of a unit, part of the API's positional form.
    """

    place: int


Control = Slider | Words | Dropdown | Files | Tick | DropZone


@dataclass(frozen=True)
class Field:
    """One field of a unit.

    place: its order among the fields, part of the API's positional form, so it never changes and is
    never used again; 0 puts it last. row, column: in its group; fields of one row stand side by
    side, those of one column by place.
    axes: of how many units an X/Y/Z plot has an axis for it. is_strength: a tag's multiplier scales
    it, and a unit whose strengths are all 0 is off. only_with: another field and the values of it
    without which this one does nothing; the page then hides it. values: what the documentation says
    in place of the parser's words. former: the label of an earlier version, by which the WebUI may
    have saved the user's own default; the tooltip begins with it. unwritten: what infotext without
    this field means, where that is not the default: an earlier version had another one. instead:
    a word that may take the place of a value, and the field that it switches on. is_wide: no other
    field stands beside it, as beside a line of text.
    """

    name: str
    default: Any  # of the final type
    parse: Parser
    label: str  # on the page, where it differs from `name`
    tooltip: str
    meaning: str  # for the API and the documentation
    group: str = OTHER
    row: int = 99
    column: int = 0
    place: int = 0
    control: Control | None = None  # None: what suits the parser
    axes: int = 1
    is_strength: bool = False
    only_with: tuple[str, tuple[str, ...]] | None = None
    values: str = ""
    former: str = ""
    unwritten: Any = None
    instead: tuple[str, str] = ("", "")
    is_wide: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether its values are pictures."""
        return isinstance(self.parse, (OnePicture, References))

    @property
    def shown_as(self) -> Control:
        """The control on the page."""
        if self.control is not None:
            return self.control
        if isinstance(self.parse, Boolean):
            return Tick()
        if isinstance(self.parse, OneOf):
            return Dropdown()
        if isinstance(self.parse, Integer):
            return Slider(1)
        if isinstance(self.parse, (Number, Share)):
            return Slider()
        return Words()


@dataclass(frozen=True)
class Declared:
    """What a method says of itself without being loaded; needs nothing but Python.

    fields: its own. uses: shared fields that mean something to it, beside those that every method
    has (see shared_fields.EVERY_METHOD). takes_styles: a saved style may stand for its reference.
    needs_reference: False where it can act without one. takes_picture: False where a reference
    picture changes nothing, which the method says itself. uses_weight: False where the weight
    only switches it off, at 0. excludes: a name that it shares with methods of which one unit at
    most may act. advice: steps by complaint, in their order.
    """

    name: str
    title: str  # as people call it
    fields: tuple[Field, ...] = ()
    uses: frozenset[str] = frozenset()
    takes_styles: bool = False
    needs_reference: bool = True
    takes_picture: bool = True
    uses_weight: bool = True
    excludes: str = ""
    advice: Advice = dataclass_field(default_factory=dict)
