"""The fields that belong to no single method.

Each method says which of them mean something to it, beside those of EVERY_METHOD.
"""

from __future__ import annotations

from collections.abc import Sequence

from lib_instantstyle.units.block_weights import BlockWeights, BlockWeightsParser
from lib_instantstyle.units.choices import (
    BOTH,
    CROPS,
    HIRES_PASSES,
    INVERSION,
    LAYOUTS,
    REFERENCE_NOISES,
    SAME,
    TIME_CURVES,
)
from lib_instantstyle.units.field import (
    BLOCKS,
    EVERY_UNIT,
    MAIN,
    MEASURED,
    METHOD,
    PICTURES,
    REFERENCE,
    STYLES,
    TOP,
    WHEN,
    DropZone,
    Field,
    Files,
    Slider,
    Words,
)
from lib_instantstyle.units.values import (
    Boolean,
    Integer,
    Name,
    Number,
    OneOf,
    OnePicture,
    References,
    Share,
)

EVERY_METHOD = frozenset(
    ("enabled", "image", "style", "method", "weight", "start", "end", "palette", "leak_meter")
)
_STEPS = "part of the sampling steps, in each pass of hires fix"


def shared_fields(methods: Sequence[str]) -> tuple[Field, ...]:
    """The shared fields, where a unit may have one of `methods`; the first is the usual one."""
    return (
        Field(
            "enabled", True, Boolean(),
            "Use this unit",
            "several units add up",
            "unit on or off",
            group=TOP, row=1, place=1,
        ),
        Field(
            "image", (), References(),
            "Drop a reference picture here",
            "click to choose, or paste",
            "reference pictures, each with a weight of its own if need be; that of a single one is "
            "a share of the unit's weight",
            group=PICTURES, row=0, place=2, control=DropZone(4),
        ),
        Field(
            "style", "", Name("a saved style"),
            "Saved style",
            "a style from your library, instead of a picture",
            "name of a saved style, instead of `image`",
            group=STYLES, place=3, control=Files("styles"), axes=EVERY_UNIT,
            values="name",
        ),
        Field(
            "method", methods[0], OneOf(tuple(methods)),
            "Method",
            "how the style gets into the picture",
            "how the style gets into the picture",
            group=TOP, row=1, place=4, values="see [methods](without-an-adapter.md)",
        ),
        Field(
            "blocks", BlockWeights(), BlockWeightsParser(),
            "Block weights",
            "names, transformer indices, or one number for each transformer; the map above writes "
            "them",
            "own block weights instead of the preset",
            group=BLOCKS, row=1, place=7, axes=EVERY_UNIT, values="see [blocks](#blocks)",
            control=Words("instead of the preset: up_blocks.0.attentions.1=1; 3:0.5"),
        ),
        Field(
            "weight", 1.0, Number(-2, 5),
            "Style weight",
            "1 is as the adapter was trained; 0 is off",
            "multiplies every block weight",
            group=MAIN, row=3, place=8, axes=EVERY_UNIT, is_strength=True, is_wide=True,
        ),
        Field(
            "start", 0.0, Number(0, 1),
            "Start",
            _STEPS,
            "where in the sampling it begins: completed steps / steps of the pass",
            former="Style starts at",
            group=MAIN, row=6, place=13, control=Slider(0.01), axes=EVERY_UNIT,
        ),
        Field(
            "end", 1.0, Number(0, 1),
            "End",
            _STEPS,
            "where in the sampling it ends",
            former="Style ends at",
            group=MAIN, row=6, place=14, control=Slider(0.01), axes=EVERY_UNIT,
        ),
        Field(
            "time_curve", TIME_CURVES[0], OneOf(TIME_CURVES),
            "Time curve",
            "between start and end",
            "weight between start and end",
            former="Weight over the steps",
            group=WHEN, row=2, place=15,
        ),
        Field(
            "crop", CROPS[0], OneOf(CROPS),
            "Crop",
            "center: their middle; pad: all, with a border; stretch: all, squeezed; tiles: the "
            "mean of several squares",
            "how a picture that is not square reaches CLIP; tiles: the mean of square crops",
            former="Pictures that are not square",
            group=REFERENCE, row=1, column=1, place=25,
        ),
        Field(
            "mask", None, OnePicture(),
            "Region mask",
            "white is where the style acts",
            "where in the picture the style acts, in white; any size",
            group=PICTURES, row=1, column=1, place=29, control=DropZone(3),
        ),
        Field(
            "hires_pass", BOTH, OneOf(HIRES_PASSES),
            "Hires pass",
            "in which of its passes the style acts",
            "in which pass of hires fix",
            former="Hires fix",
            group=WHEN, row=2, place=30,
        ),
        Field(
            "layout_lock", 0.0, Share(),
            "Layout lock",
            "share of the steps, from the first, in which the picture keeps the layout that it "
            "would have without the style; each of them takes twice as long. 0 is off",
            "share of the sampling steps, from the first, in which all self-attention takes "
            "queries and keys of the same picture without the style (the teacher of StyleStudio, "
            "arXiv 2412.08503; there 0.2 to 0.4). Costs one more evaluation of the model in each "
            "of these steps, or none with `layout_from` first picture",
            group=WHEN, row=3, place=65, axes=EVERY_UNIT,
        ),
        Field(
            "layout_from", LAYOUTS[0], OneOf(LAYOUTS),
            "Layout from",
            "prompt: each picture without its style, which is not shown. first picture: of each "
            "batch; it gets no style, and the others its seed",
            "where `layout_lock` takes the layout. `prompt`: each picture is made without the "
            "style beside itself. `first picture`: the first picture of each batch stays plain, "
            "and all of the batch have its seed",
            group=WHEN, row=3, place=66, axes=0,
        ),
        Field(
            "adain", 1.0, Share(),
            "AdaIN",
            "adain: how far mean and deviation become the reference's; StyleID: of the first "
            "latent, which carries the colours; StyleAligned: of queries and keys",
            "share of the style's statistics: StyleID, in the first latent; StyleAligned, in "
            "queries and keys",
            former="Statistics of the reference",
            group=METHOD, row=5, place=33,
        ),
        Field(
            "steps_of_inversion", 0, Integer(0, 1000),
            "Steps of inversion",
            "in which the reference goes back to noise; 0: as many as sampling steps",
            "UNet calls of an inversion; 0: as many as sampling steps",
            former="Steps of the inversion",
            group=METHOD, row=5, place=34,
        ),
        Field(
            "reference_noise", SAME, OneOf(REFERENCE_NOISES),
            "Reference noise",
            "same: noise of the seed. fresh: new noise in each step. fixed: one level, for all "
            "steps. inversion: back to its noise first, which takes as long as a picture",
            "swap and StyleAligned: the reference at the noise level of a step. inversion: DDIM "
            "backwards before the first step, as many UNet calls as steps. same: z0 + sigma n with "
            "one noise n from the image's seed; fresh: new n in each step (arXiv 2510.06827); "
            "fixed: one n at timestep 200 for all steps, with one UNet call in each pass (arXiv "
            "2505.19063). Infotext that does not name it means inversion",
            former="Noise of the reference",
            group=METHOD, row=6, place=56, axes=EVERY_UNIT, unwritten=INVERSION,
        ),
        Field(
            "palette", 0.0, Number(0, 1),
            "Palette",
            "moves the colours towards the reference's; 0 is off. With style weight 0 it acts "
            "alone",
            "share of the reference's palette: in the steps from 0.2 to 0.6 of each pass the "
            "predicted picture's latent is whitened and coloured over its channels, damped (SADis, "
            "arXiv 2503.14275). With any method, or, with `weight` 0, with none; infotext "
            "`InstantStyle 1 palette` names the steps",
            former="Palette of the reference",
            group=MAIN, row=7, place=59, axes=EVERY_UNIT, is_strength=True,
        ),
        Field(
            "report", False, Boolean(),
            "Effect report",
            "shown under the picture",
            "measures what is added in each block; infotext `InstantStyle 1 effect`. With an "
            "adapter the API's `report` also has the singular values of the reference's keys and "
            "values in the first layer of each block; with `purify` infotext has them too",
            former="Measure the effect in each block",
            group=MEASURED, row=1, place=44, axes=0,
        ),
        Field(
            "leak_meter", False, Boolean(),
            "Leak meter",
            "needs the encoder again",
            "measures how like the reference and its content the result is; infotext "
            "`InstantStyle 1 leak`",
            former="Measure how like the reference the result is",
            group=MEASURED, row=1, place=45, axes=0,
        ),
    )  # fmt: skip
