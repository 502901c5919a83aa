"""Units: what a user asked for, checked.

`Unit` is the one table of fields, defaults and ranges; API, page, infotext and plots read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from lib_instantstyle.pure.block_weights import BlockWeights, parse_block_weights
from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.pure.page_weights import without_unused_weights
from lib_instantstyle.pure.presets import DEFAULT_PRESET, PRESETS
from lib_instantstyle.pure.schedule import TIME_CURVES
from lib_instantstyle.pure.values import (
    Reference,
    boolean,
    integer,
    name,
    number,
    one_of,
    picture,
    references,
    share,
    text,
)

AUTO = "auto"
UNIT_LIMIT = 10  # units in one request
IP_ADAPTER, STYLEID, STYLE_ALIGNED, SWAP = "ip-adapter", "styleid", "stylealigned", "swap"
B_LORA = "b-lora"
METHODS = IP_ADAPTER, STYLEID, STYLE_ALIGNED, SWAP, B_LORA
ON_SELF_ATTENTION = STYLEID, STYLE_ALIGNED, SWAP
CONTENT_MODES = ("difference", "projection")
CLIP_SOURCES = (AUTO, "loaded", "file")
CROPS = ("center", "pad", "stretch", "tiles")
CONCAT, EACH = "concat", "each"
COMBINE = (CONCAT, "average", "norm average", "add", "subtract", "max", "min", EACH)
EMBEDS_SCALING = ("V only", "K+V", "K+V w/ C penalty", "K+mean(V) w/ C penalty")
SCHEDULES = SAMPLER, PUBLISHED = "sampler", "published"
LORA_SCALINGS = LINEAR, SQUARED = "linear", "squared"
NOISES = ("none", "fade", "dissolve", "gaussian", "shuffle")
BOTH, BASE, HIRES = "both", "base", "hires"


def _field(default: Any, parse: Callable[[object], Any], meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True)
class Unit:
    """One use of a reference, all values checked and of their final type."""

    enabled: bool = _field(True, boolean, "unit on or off")
    image: tuple[Reference, ...] = _field((), references, "reference pictures")
    style: str = _field("", name("a saved style", ""), "name of a saved style, instead of image")
    method: str = _field(IP_ADAPTER, one_of(*METHODS), "how the style gets into the picture")
    adapter: str = _field(AUTO, name("an adapter file", AUTO), "IP-Adapter file, or auto")
    preset: str = _field(DEFAULT_PRESET, one_of(*PRESETS), "which blocks get the style")
    blocks: BlockWeights = _field(
        BlockWeights(), parse_block_weights, "own block weights instead of the preset"
    )
    weight: float = _field(1.0, number(-2, 5), "multiplies every block weight")
    layout_weight: float | None = _field(
        None, number(-2, 5, optional=True), "weight of the layout blocks; empty: as weight"
    )
    boost: float | None = _field(
        None, number(-5, 5, optional=True), "strength of a precise preset's swapped side"
    )
    negative_weight: float = _field(1.0, number(-2, 5), "of the term in negative-prompt rows")
    auto_weight: float = _field(
        0.0, number(0, 2), "brings what is added to this share of the text's attention; 0: off"
    )
    start: float = _field(0.0, number(0, 1), "where in the sampling it begins")
    end: float = _field(1.0, number(0, 1), "where in the sampling it ends")
    time_curve: str = _field("constant", one_of(*TIME_CURVES), "weight between start and end")
    content: str = _field("", text, "what the reference shows and the picture should not")
    content_scale: float = _field(0.5, number(0, 2), "how much of it to take out")
    content_mode: str = _field("difference", one_of(*CONTENT_MODES), "how it is taken out")
    clip_source: str = _field(AUTO, one_of(*CLIP_SOURCES), "which text encoder reads the content")
    negative_image: str | None = _field(None, picture, "picture for the negative-prompt rows")
    noise: str = _field(
        "none", one_of(*NOISES), "noise for the negative rows: on negative_image, or else on image"
    )
    noise_strength: float = _field(0.5, number(0, 1), "how strong that noise is")
    noise_blur: float = _field(0.0, number(0, 32), "width in pixels of a blur over that noise")
    reference_mask: str | None = _field(None, picture, "part of the reference that counts (white)")
    crop: str = _field("center", one_of(*CROPS), "how a picture that is not square is cut")
    sharpening: float = _field(0.0, number(0, 1), "of the cut picture")
    combine: str = _field(CONCAT, one_of(*COMBINE), "what several references become")
    embeds_scaling: str = _field("V only", one_of(*EMBEDS_SCALING), "what the weight multiplies")
    mask: str | None = _field(None, picture, "where in the picture the style acts (white)")
    hires_pass: str = _field(BOTH, one_of(BOTH, BASE, HIRES), "in which pass of hires fix")
    gamma: float = _field(0.75, number(0, 1), "StyleID: share of the content's query")
    tau: float = _field(1.5, number(0, 5), "StyleID: sharpness of the attention to the style")
    adain: float = _field(1.0, share, "share of the style's statistics: StyleID, StyleAligned")
    steps_of_inversion: int = _field(
        0, integer(0, 1000), "UNet calls of an inversion; 0: as many as sampling steps"
    )
    schedule: str = _field(
        SAMPLER, one_of(*SCHEDULES), "StyleID: the sampler's noise levels, or the published code's"
    )
    shared_scale: float = _field(1.0, number(0, 5), "StyleAligned: scale of the reference's keys")
    shared_shift: float = _field(
        0.6931, number(-10, 10), "StyleAligned: added to the reference's logits; higher is closer"
    )
    shared_norms: bool = _field(
        False, boolean, "StyleAligned: group norms over picture and reference together"
    )
    colour_calibration: bool = _field(
        False, boolean, "Visual Style Prompting: the reference's colours, towards the end"
    )
    lora: str = _field("", name("a LoRA file", ""), "B-LoRA: LoRA file, by name")
    style_strength: float = _field(1.0, number(-2, 5), "B-LoRA: of the style block's half")
    content_strength: float = _field(0.0, number(-2, 5), "B-LoRA: of the content block's half")
    lora_scaling: str = _field(
        LINEAR, one_of(*LORA_SCALINGS), "B-LoRA: strengths as they are, or squared as published"
    )
    report: bool = _field(False, boolean, "measure the effect in each block")
    leak_meter: bool = _field(False, boolean, "measure how like the reference the result is")
    number: int = field(default=1, compare=False)  # its place among the units, from 1; no field
    tag: str = field(default="", compare=False)  # the prompt's tag it comes from; no field

    @property
    def title(self) -> str:
        """How sentences call it."""
        return self.tag or f"unit {self.number}"

    @property
    def is_untouched(self) -> bool:
        """True where nothing of a unit was asked for: it is on, and that is all."""
        return self == Unit()

    @property
    def acts(self) -> bool:
        """False where the unit cannot change a picture: off, weight 0 or an empty range."""
        weights = (self.weight, self.layout_weight, self.boost)
        return self.enabled and any(weights) and self.start < self.end


FIELDS = {f.name: f for f in fields(Unit) if f.metadata}
PICTURES = ("reference_mask", "negative_image", "mask", "image")

# Fields that say something to some methods alone, by method.
METHOD_FIELDS: Mapping[str, tuple[str, ...]] = {
    IP_ADAPTER: (
        "adapter",
        "preset",
        "blocks",
        "content",
        "content_scale",
        "content_mode",
        "clip_source",
        "negative_weight",
        "negative_image",
        "noise",
        "noise_strength",
        "noise_blur",
        "reference_mask",
        "crop",
        "sharpening",
        "combine",
        "auto_weight",
        "embeds_scaling",
        "mask",
        "time_curve",
        "hires_pass",
        "report",
    ),
    STYLEID: ("blocks", "crop", "gamma", "tau", "adain", "steps_of_inversion", "schedule"),
    STYLE_ALIGNED: (
        "blocks",
        "crop",
        "shared_scale",
        "shared_shift",
        "shared_norms",
        "adain",
        "steps_of_inversion",
    ),
    SWAP: ("blocks", "crop", "colour_calibration", "steps_of_inversion"),
    B_LORA: (
        "lora",
        "lora_scaling",
        "style_strength",
        "content_strength",
        "time_curve",
        "hires_pass",
    ),
}
OF_METHODS = frozenset(name for names in METHOD_FIELDS.values() for name in names)

# The order of the page's values of one unit. Pictures come last, behind those of all units: the
# WebUI prints the arguments of a failed request, and the text of a picture would bury the rest.
PAGE_FIELDS = tuple(name for name in FIELDS if name not in PICTURES)
PAGE_PICTURES = PICTURES
NO_REFERENCE = "Unit {} is on but has no reference: drop a picture or untick InstantStyle."


def parse_unit(given: Mapping[str, object], number: int = 1) -> Unit:
    """Check unit `number`, given as an object; a field that is absent or null gets its default.

    Raises InstantStyleError: "unit 1: weight is 9; a number from -2 to 5 is allowed."
    """
    label = f"unit {number}"
    unknown = [key for key in given if key not in FIELDS]
    if unknown:
        raise InstantStyleError(
            f"{label}: the field {shorten(unknown[0])} is unknown; allowed are {', '.join(FIELDS)}."
        )
    values: dict[str, Any] = {}
    for key, value in given.items():
        if value is None:
            continue
        try:
            values[key] = FIELDS[key].metadata["parse"](value)
        except InstantStyleError as error:
            problem = str(error)
            if not problem.endswith("."):  # block weights speak for themselves
                problem = f"{key} is {shorten(value)}; {problem}."
            raise InstantStyleError(f"{label}: {problem}") from None
    return Unit(**values, number=number)


def parse_arguments(arguments: Sequence[object]) -> list[Unit]:
    """The enabled units in a script's arguments, checked; see `given_units`."""
    given = given_units(arguments)
    units = [parse_unit(unit, i) for i, unit in enumerate(given, start=1)]
    return [unit for unit in units if unit.enabled]


def given_units(arguments: Sequence[object]) -> Sequence[Mapping[str, object]]:
    """The units in a script's arguments, in any form that the API or the page sends.

    - objects in slot 0 (or from slot 1 on after a bool): each object is a unit, or holds `units`;
      other slots are the WebUI's defaults and are ignored;
    - the page's values (see `page_values`);
    - nothing, or a first item of null, false or "": off, an empty list.
    """
    first = arguments[0] if arguments else None
    if first is None or first is False or first == "":
        return []
    objects = [item for item in arguments if isinstance(item, Mapping)]
    if isinstance(first, Mapping) or (
        first is True and len(arguments) > 1 and isinstance(arguments[1], Mapping)
    ):
        given: list[Mapping[str, object]] = [unit for item in objects for unit in _units_of(item)]
    elif first is True and (page := page_values(arguments[1:])):
        given = [*page]
    else:
        raise InstantStyleError(
            f"args begins with {shorten(first)}; an object for each unit, true or false followed "
            'by objects, or one {"units": [...]} is allowed.'
        )
    if len(given) > UNIT_LIMIT:
        raise InstantStyleError(f"args has {len(given)} units; up to {UNIT_LIMIT} are allowed.")
    return given


def page_values(values: Sequence[object]) -> list[dict[str, object]]:
    """The page's units in the values that follow its switch; none if the count is not the page's.

    PAGE_FIELDS of the first unit, of the second, and so on; then PAGE_PICTURES in the same order.
    """
    count, rest = divmod(len(values), len(PAGE_FIELDS) + len(PAGE_PICTURES))
    if rest:
        return []
    pictures = values[count * len(PAGE_FIELDS) :]
    return [
        without_unused_weights(
            {
                **dict(zip(PAGE_FIELDS, values[i * len(PAGE_FIELDS) :])),
                **dict(zip(PAGE_PICTURES, pictures[i * len(PAGE_PICTURES) :])),
            }
        )
        for i in range(count)
    ]


def _units_of(item: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    if "units" not in item:
        return [item]
    units = item["units"]
    if item.keys() != {"units"} or not isinstance(units, Sequence) or isinstance(units, str):
        raise InstantStyleError('units is not a list of objects; allowed is {"units": [{...}]}.')
    for i, unit in enumerate(units):
        if not isinstance(unit, Mapping):
            raise InstantStyleError(f"unit {i + 1} is {shorten(unit)}; an object is allowed.")
    return units
