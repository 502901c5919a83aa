"""IP-Adapter, with InstantStyle's choice of blocks: what it declares, without torch."""

from __future__ import annotations

from lib_instantstyle.methods.ip_adapter.advice import ADVICE
from lib_instantstyle.methods.ip_adapter.attention_fields import ATTENTION_FIELDS
from lib_instantstyle.units.choices import (
    AUTO,
    CLIP_SOURCES,
    COLOUR,
    COLOUR_TEXTURE,
    COMBINE,
    CONTENT_MODES,
    EMBEDS_SCALING,
    MASK,
    NOISES,
    TEXTURE,
)
from lib_instantstyle.units.field import (
    BLOCKS,
    CONTENT,
    EVERY_UNIT,
    MAIN,
    NEGATIVE,
    PICTURES,
    REFERENCE,
    TOP,
    WORDS,
    Declared,
    DropZone,
    Field,
    Files,
    Slider,
    Words,
)
from lib_instantstyle.units.presets import DEFAULT_PRESET, PRESETS
from lib_instantstyle.units.values import Boolean, Integer, Name, Number, OneOf, OnePicture, Text

_OF_ADAPTERS = (
    Field(
        "adapter", AUTO, Name("an adapter file", AUTO),
        "IP-Adapter",
        "auto takes the best one that fits the loaded checkpoint",
        "IP-Adapter file; auto takes the best one that fits the checkpoint",
        group=BLOCKS, row=0, place=5, control=Files("adapters"), axes=EVERY_UNIT,
    ),
    Field(
        "preset", DEFAULT_PRESET, OneOf(tuple(PRESETS)),
        "Preset",
        "; ".join(f"{preset.id}: {preset.summary}" for preset in PRESETS.values()),
        "which blocks get the style",
        group=TOP, row=1, place=6, axes=EVERY_UNIT, values="see [presets](#presets)",
    ),
    Field(
        "layout_weight", None, Number(-2, 5, optional=True),
        "Layout weight",
        "of the blocks that carry the arrangement",
        "weight of the layout blocks in presets that set them apart; null: as `weight`",
        group=MAIN, row=4, place=9, is_strength=True,
    ),
    Field(
        "boost", None, Number(-5, 5, optional=True),
        "Boost",
        "of the blocks that guidance moves away from",
        "strength of the swapped side of the precise presets; null: as `weight`",
        former="Away from the rest",
        group=MAIN, row=5, place=10, is_strength=True,
    ),
    Field(
        "negative_weight", 1.0, Number(-2, 5),
        "Negative weight",
        "what its rows get of the style term",
        "multiplies what is added in negative-prompt rows",
        former="Weight for the negative prompt",
        group=NEGATIVE, row=1, place=11,
    ),
    Field(
        "auto_weight", 0.0, Number(0, 2),
        "Auto weight",
        "brings what the unit adds to this share of the text's attention; 0 is off",
        "brings what is added, over all layers of the unit, to this share of the text's attention "
        "(times `weight`), so that references of different strength act alike; 0 is off. Measured "
        "in the first step of each pass; infotext `InstantStyle 1 auto` says what the weight was "
        "multiplied with. `report` shows the share that a reference has now, block by block",
        former="Even out the weights",
        group=BLOCKS, row=2, place=12,
    ),
    Field(
        "content", "", Text(),
        "Content to remove",
        "what the reference shows and the picture should not; | separates several things",
        "what the reference shows and the picture should not; | separates several, which "
        "difference and projection average",
        group=WORDS, row=1, place=16, control=Words("such as: a cup of coffee"), axes=EVERY_UNIT,
    ),
    Field(
        "content_scale", 0.5, Number(0, 2),
        "Content scale",
        "0 is off; too much of it distorts the style",
        "how much of what `content_mode` finds is taken out; 1 is all of it for projection, "
        "subspace and mask; 0 is off",
        former="How much of it",
        group=WORDS, row=2, place=17, axes=EVERY_UNIT,
    ),
    Field(
        "content_mode", CONTENT_MODES[0], OneOf(CONTENT_MODES),
        "Content mode",
        "difference: InstantStyle's own, moves the whole vector and distorts the style at large "
        "amounts. projection: the gentlest, takes only the part along the average of the words. "
        "subspace: for several words, each is really removed; words for colour or material take "
        "style along. mask: keeps content out most strongly and costs some style, more with a "
        "larger share",
        "difference: e - s t with the mean t of the texts; projection: e - s (e.u) u with the unit "
        "vector u of t; subspace: e - s P e with the projection P on all texts; mask: the elements "
        "of e that agree most with a text are multiplied by 1 - s",
        former="How content is removed",
        group=CONTENT, row=1, place=18, axes=EVERY_UNIT,
    ),
    Field(
        "content_share", 0.2, Number(0, 1),
        "Content share",
        "of the image vector's elements, for each text: more keeps more content out and costs more "
        "style; 0 finds the share itself",
        "for mask: share of the elements that each text masks; 0: those of the upper of two "
        "clusters, found exactly",
        former="Share that the mask takes",
        group=CONTENT, row=2, place=46, control=Slider(0.01), axes=EVERY_UNIT,
        only_with=("content_mode", (MASK,)),
    ),
    Field(
        "auto_content", 0, Integer(0, 5),
        "Auto content",
        "that many words that the reference suggests itself, as the button below shows them; 0 is "
        "none",
        "that many words that the reference suggests itself are removed, too; of each reference "
        "its own, where they are not combined. Infotext `InstantStyle 1 content` names them",
        former="Suggested words to remove",
        group=WORDS, row=2, place=47, axes=EVERY_UNIT,
    ),
    Field(
        "negative_content", False, Boolean(),
        "Negative content",
        "guidance moves away from what is taken out; experimental. It keeps content out strongly, "
        "and needs a CFG scale above 1",
        "negative-prompt rows get the image tokens of what is taken out of the reference, in place "
        "of the zero image, so that guidance moves away from it; of several references the mean",
        group=CONTENT, row=2, place=67,
    ),
    Field(
        "clip_source", AUTO, OneOf(CLIP_SOURCES),
        "CLIP source",
        "loaded: the checkpoint's own; file: one from the model folders",
        "who reads the content: the checkpoint's text encoder, or one from a file",
        former="Text encoder for content",
        group=CONTENT, row=1, place=19,
    ),
    Field(
        "negative_image", None, OnePicture(),
        "Negative image",
        "the result moves away from it",
        "what negative-prompt rows get instead of the zero image; \"content\" switches "
        "`negative_content` on",
        group=PICTURES, row=1, column=2, place=20, control=DropZone(2),
        instead=("content", "negative_content"),
    ),
    Field(
        "noise", NOISES[0], OneOf(NOISES),
        "Noise",
        "a noisy reference to move away from",
        "noise on `negative_image`, or, where there is none, on the reference, for the "
        "negative-prompt rows",
        former="Noise for the negative rows",
        group=NEGATIVE, row=1, place=21,
    ),
    Field(
        "noise_strength", 0.5, Number(0, 1),
        "Noise strength",
        "0 is none",
        "how strong that noise is",
        former="Strength of the noise",
        group=NEGATIVE, row=2, place=22,
    ),
    Field(
        "noise_blur", 0.0, Number(0, 32),
        "Noise blur",
        "its width in pixels",
        "width in pixels of a blur over that noise",
        former="Blur of the noise",
        group=NEGATIVE, row=2, place=23, control=Slider(1),
    ),
    Field(
        "reference_mask", None, OnePicture(),
        "Reference mask",
        "white is the part of the reference that counts",
        "the part of the references that counts, in white",
        group=PICTURES, row=1, place=24, control=DropZone(1),
    ),
    Field(
        "sharpening", 0.0, Number(0, 1),
        "Sharpening",
        "of what the image encoder sees",
        "of what CLIP sees",
        group=REFERENCE, row=2, place=26,
    ),
    Field(
        "combine", COMBINE[0], OneOf(COMBINE),
        "Combine references",
        "concat: side by side; each: one for each picture of the batch; colour + texture: colours "
        "of the first, texture of the second; colour, texture: one side of a single one; the rest "
        "work on their image vectors",
        "several references: side by side in one softmax, one embedding made of all, or reference "
        "i for image i of the batch (going round). `colour + texture` (SADis, arXiv 2503.14275) "
        "takes two: what the first has beyond its grey copy, and the second's grey copy, damped; "
        "`colour` and `texture` take one side of one reference. A `style` that was saved with one "
        "of these stands for its side, beside one picture",
        former="Several references",
        group=REFERENCE, row=1, place=27,
    ),
    Field(
        "style_to", "", Name("a saved style"),
        "Style to",
        "that the saved style is mixed with",
        "name of a second saved style, made with the same image encoder and of as many references: "
        "`style_mix` walks from `style` to it",
        former="Second style",
        group=REFERENCE, row=4, place=63, control=Files("styles"), values="name",
    ),
    Field(
        "style_mix", 0.5, Number(0, 1),
        "Style mix",
        "0 is the first alone, 1 the second",
        "how far `style_to` takes the place of `style`: each vector on the arc between the two "
        "(slerp), the weights of the references in proportion; 0 and 1 are the styles themselves",
        former="From the saved style to the second",
        group=REFERENCE, row=4, place=64, axes=EVERY_UNIT,
    ),
    Field(
        "colour_strength", 1.1, Number(0, 3),
        "Colour strength",
        "with colour + texture, or colour",
        "combine `colour + texture` and `colour`: multiplies what the colour reference has beyond "
        "its grey copy",
        former="Strength of the colours",
        group=REFERENCE, row=3, place=60, axes=EVERY_UNIT,
        only_with=("combine", (COLOUR_TEXTURE, COLOUR)),
    ),
    Field(
        "texture_strength", 1.0, Number(0, 3),
        "Texture strength",
        "with colour + texture, or texture",
        "combine `colour + texture` and `texture`: multiplies the grey copy of the texture "
        "reference",
        former="Strength of the texture",
        group=REFERENCE, row=3, place=61, axes=EVERY_UNIT,
        only_with=("combine", (COLOUR_TEXTURE, TEXTURE)),
    ),
    Field(
        "texture_damping", 0.003, Number(0, 0.1),
        "Texture damping",
        "weakens what a flat grey picture has too; 0 is none",
        "combine `colour + texture` and `texture`: the singular values s of the grey copy's "
        "features, together with those of a flat picture of its mean grey, become s exp(-d s)",
        former="Damping of the texture",
        group=REFERENCE, row=3, place=62, control=Slider(0.001),
        only_with=("combine", (COLOUR_TEXTURE, TEXTURE)),
    ),
    Field(
        "embeds_scaling", EMBEDS_SCALING[0], OneOf(EMBEDS_SCALING),
        "Embeds scaling",
        "values only, or keys too",
        "what the weight multiplies",
        former="What the weight multiplies",
        group=BLOCKS, row=2, place=28,
    ),
)  # fmt: skip

FIELDS = (*_OF_ADAPTERS, *ATTENTION_FIELDS)

DECLARED = Declared(
    "ip-adapter",
    "IP-Adapter",
    FIELDS,
    frozenset(
        (
            "blocks",
            "crop",
            "mask",
            "time_curve",
            "hires_pass",
            "layout_lock",
            "layout_from",
            "report",
        )
    ),
    takes_styles=True,
    advice=ADVICE,
)
