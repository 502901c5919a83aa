"""B-LoRA: what it declares, without torch. Source: Frenkel et al., ECCV 2024, arXiv 2403.14572."""

from __future__ import annotations

from lib_instantstyle.units.advice import BURNT, CONTENT, STRONG, WEAK, By, Set
from lib_instantstyle.units.field import METHOD, Declared, Field, Files
from lib_instantstyle.units.values import Name, Number, OneOf

LORA_SCALINGS = LINEAR, SQUARED = "linear", "squared"

FIELDS = (
    Field(
        "lora", "", Name("a LoRA file"),
        "LoRA",
        "for SDXL, from the WebUI's own folder",
        "B-LoRA: a LoRA for SDXL in the WebUI's own folder, with or without its sub-folder and "
        "ending",
        group=METHOD, row=8, place=40, control=Files("loras"),
    ),
    Field(
        "style_strength", 1.0, Number(-2, 5),
        "Style strength",
        "of the LoRA in up_blocks.0.attentions.1",
        "B-LoRA: of the file's layers in `up_blocks.0.attentions.1`; multiplied by `weight`",
        former="Strength of its style",
        group=METHOD, row=9, place=41,
    ),
    Field(
        "content_strength", 0.0, Number(-2, 5),
        "Content strength",
        "of the LoRA in up_blocks.0.attentions.0",
        "B-LoRA: of the file's layers in `up_blocks.0.attentions.0`; multiplied by `weight`",
        former="Strength of its content",
        group=METHOD, row=9, place=42,
    ),
    Field(
        "lora_scaling", LINEAR, OneOf(LORA_SCALINGS),
        "LoRA scaling",
        "squared: as in the published code",
        "B-LoRA: the strengths as they are, or squared, as the published code has them",
        former="How strengths count",
        group=METHOD, row=8, place=43,
    ),
)  # fmt: skip

DECLARED = Declared(
    "b-lora",
    "B-LoRA",
    FIELDS,
    frozenset(("time_curve", "hires_pass", "layout_lock", "layout_from")),
    needs_reference=False,
    takes_picture=False,
    advice={
        WEAK: (By("style_strength", 0.2, 1.6),),
        STRONG: (By("style_strength", -0.2, 0.2),),
        CONTENT: (Set({"content_strength": 0.0}), By("style_strength", -0.2, 0.6)),
        BURNT: (By("style_strength", -0.2, 0.4), By("end", -0.2, 0.6)),
    },
)
