"""The fields that say what happens inside a cross-attention, without torch."""

from __future__ import annotations

from lib_instantstyle.units.choices import AWAY_FROM, FUSIONS
from lib_instantstyle.units.field import BLOCKS, EVERY_UNIT, NEGATIVE, Field
from lib_instantstyle.units.values import Number, OneOf

ATTENTION_FIELDS = (
    Field(
        "attention_guidance", 0.0, Number(0, 10),
        "Guidance inside the attention",
        "experimental: moves the picture away from the negative image, at CFG scale 1 too; 0 is "
        "off, 2 to 4 to start",
        "phi of normalised attention guidance (arXiv 2505.21179), here for image tokens, which "
        "nobody has published: prompt rows are moved away from what `guidance_from` names. Needs "
        "no negative-prompt rows, so that it works at CFG scale 1; the swapped side of the precise "
        "presets uses it there. tau is 2.5 and alpha 0.25. 0 is off",
        group=NEGATIVE, row=3, place=53, axes=EVERY_UNIT,
    ),
    Field(
        "guidance_from", AWAY_FROM[0], OneOf(AWAY_FROM),
        "Guided away from",
        "the negative image, or what is removed from the reference as content",
        "for `attention_guidance`: what negative-prompt rows get (`negative_image`, noise, or the "
        "zero image), or what `content` and `auto_content` take out of the reference",
        group=NEGATIVE, row=3, place=54, axes=EVERY_UNIT,
    ),
    Field(
        "fusion", FUSIONS[0], OneOf(FUSIONS),
        "How text and image become one",
        "add: as published for IP-Adapter. adain: the prompt keeps its own colours and layout "
        "better; weight 0 to 1",
        "add: weight times the image attention is added to the text attention. adain: the text "
        "attention gets its mean and deviation, by channel (arXiv 2412.08503); weight is the share "
        "of it, 0 to 1. Where several units fuse in one layer each acts on the text alone, and "
        "shares that come to more than 1 are divided by their sum",
        group=BLOCKS, row=3, place=55, axes=EVERY_UNIT,
    ),
)  # fmt: skip
