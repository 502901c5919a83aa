"""The fields that say what happens inside a cross-attention, and to its keys and values, without
torch."""

from __future__ import annotations

from lib_instantstyle.units.choices import AWAY_FROM, FUSIONS, PURIFY_SCALES
from lib_instantstyle.units.field import BLOCKS, CONTENT, EVERY_UNIT, NEGATIVE, Field, Slider
from lib_instantstyle.units.values import Integer, Number, OneOf

ATTENTION_FIELDS = (
    Field(
        "attention_guidance", 0.0, Number(0, 10),
        "Attention guidance",
        "experimental: moves the picture away from the negative image, at CFG scale 1 too; 0 is "
        "off, 2 to 4 to start",
        "phi of normalised attention guidance (arXiv 2505.21179), here for image tokens, which "
        "nobody has published: prompt rows are moved away from what `guidance_from` names. Needs "
        "no negative-prompt rows, so that it works at CFG scale 1; the swapped side of the precise "
        "presets uses it there. tau is 2.5 and alpha 0.25. 0 is off",
        former="Guidance inside the attention",
        group=NEGATIVE, row=3, place=53, axes=EVERY_UNIT,
    ),
    Field(
        "guidance_from", AWAY_FROM[0], OneOf(AWAY_FROM),
        "Guidance from",
        "the negative image, or what is removed from the reference as content",
        "for `attention_guidance`: what negative-prompt rows get (`negative_image`, noise, or the "
        "zero image), or what `content` and `auto_content` take out of the reference",
        former="Guided away from",
        group=NEGATIVE, row=3, place=54, axes=EVERY_UNIT,
    ),
    Field(
        "fusion", FUSIONS[0], OneOf(FUSIONS),
        "Fusion",
        "add: as published for IP-Adapter. adain: the prompt keeps its own colours and layout "
        "better; weight 0 to 1",
        "add: weight times the image attention is added to the text attention. adain: the text "
        "attention gets its mean and deviation, by channel (arXiv 2412.08503); weight is the share "
        "of it, 0 to 1. Where several units fuse in one layer each acts on the text alone, and "
        "shares that come to more than 1 are divided by their sum",
        former="How text and image become one",
        group=BLOCKS, row=3, place=55, axes=EVERY_UNIT,
    ),
    Field(
        "purify", 0.0, Number(0, 2),
        "Purify",
        "weakens, early in the sampling, what the reference's tokens do not share; for every "
        "adapter; 0 is off",
        "alpha of CleanStyle (arXiv 2602.20721): in the first half of the steps the smaller "
        "singular values S of the reference's keys and values are multiplied with exp(-alpha S). "
        "0 is off; 0.01 is published, about 0.5 a start with `purify_scale` relative. Needs no "
        "words, and works with plus and full-face adapters too. `auto_weight` measures the first "
        "step, where the damping is strongest",
        former="Purify the tokens",
        group=CONTENT, row=3, place=48, control=Slider(0.01), axes=EVERY_UNIT,
    ),
    Field(
        "purify_keep", 1, Integer(0, 64),
        "Purify keep",
        "the largest ones; more keep more detail",
        "how many of the largest singular values `purify` leaves as they are",
        former="Singular values that stay",
        group=CONTENT, row=3, place=49,
    ),
    Field(
        "purify_scale", PURIFY_SCALES[0], OneOf(PURIFY_SCALES),
        "Purify scale",
        "published: as they are; relative: divided by the largest",
        "what S is in `purify`: the singular value, as published, whose effect depends on the size "
        "of an adapter's weights; or relative to the largest. `report` lists them",
        former="Scale of the singular values",
        group=CONTENT, row=3, place=50,
    ),
)  # fmt: skip
