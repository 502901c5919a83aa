"""How each field of a unit looks on the page: its label, its tooltip, its kind of control."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lib_instantstyle.pure.page_weights import OPTIONAL
from lib_instantstyle.pure.presets import PRESETS
from lib_instantstyle.pure.schedule import TIME_CURVES
from lib_instantstyle.pure.units import (
    AUTO,
    CLIP_SOURCES,
    COMBINE,
    CONTENT_MODES,
    CROPS,
    EMBEDS_SCALING,
    FIELDS,
    LORA_SCALINGS,
    METHOD_FIELDS,
    METHODS,
    NOISES,
    OF_METHODS,
    SCHEDULES,
    Unit,
)

ElemId = Callable[[str], str]
_Builder = Callable[..., Any]  # (value, label, elem_id, tooltip) -> component


@dataclass(frozen=True)
class Control:
    """One field on the page."""

    label: str
    tooltip: str
    build: _Builder


def _slider(low: float, high: float, step: float = 0.05) -> _Builder:
    return lambda **kwargs: gr.Slider(minimum=low, maximum=high, step=step, **kwargs)


def _choice(choices: Sequence[str]) -> _Builder:
    return lambda **kwargs: gr.Dropdown(choices=list(choices), **kwargs)


def _file(first: str) -> _Builder:
    """A file's name. Folders are looked into when the accordion is opened, not at start-up."""

    def build(**kwargs: Any) -> Any:
        dropdown = gr.Dropdown(choices=[first], allow_custom_value=True, **kwargs)
        # The WebUI drops a saved default that is not among the choices yet.
        dropdown.do_not_save_to_config = True
        return dropdown

    return build


def _words(placeholder: str = "") -> _Builder:
    return lambda **kwargs: gr.Textbox(lines=1, max_lines=1, placeholder=placeholder, **kwargs)


_STEPS = "part of the sampling steps, in each pass of hires fix"

CONTROLS = {
    "enabled": Control("Use this unit", "several units add up", gr.Checkbox),
    "style": Control("Saved style", "a style from your library, instead of a picture", _file("")),
    "method": Control("Method", "how the style gets into the picture", _choice(METHODS)),
    "adapter": Control(
        "IP-Adapter", "auto takes the best one that fits the loaded checkpoint", _file(AUTO)
    ),
    "preset": Control(
        "Preset", "; ".join(f"{p.id}: {p.summary}" for p in PRESETS.values()), _choice([*PRESETS])
    ),
    "blocks": Control(
        "Block weights",
        "names, transformer indices, or one number for each transformer; the map above writes them",
        _words("instead of the preset: up_blocks.0.attentions.1=1; 3:0.5"),
    ),
    "weight": Control("Style weight", "1 is as the adapter was trained; 0 is off", _slider(-2, 5)),
    "layout_weight": Control(
        "Layout weight", "of the blocks that carry the arrangement", _slider(-2, 5)
    ),
    "boost": Control(
        "Away from the rest", "of the blocks that guidance moves away from", _slider(-5, 5)
    ),
    "content": Control(
        "Content to remove",
        "what the reference shows and the picture should not; | separates several things",
        _words("such as: a cup of coffee"),
    ),
    "content_scale": Control(
        "How much of it", "0 is off; too much of it distorts the style", _slider(0, 2)
    ),
    "content_mode": Control(
        "How content is removed",
        "difference: as InstantStyle does; projection: only the part along the words",
        _choice(CONTENT_MODES),
    ),
    "clip_source": Control(
        "Text encoder for content",
        "loaded: the checkpoint's own; file: one from the model folders",
        _choice(CLIP_SOURCES),
    ),
    "start": Control("Style starts at", _STEPS, _slider(0, 1, 0.01)),
    "end": Control("Style ends at", _STEPS, _slider(0, 1, 0.01)),
    "time_curve": Control("Weight over the steps", "between start and end", _choice(TIME_CURVES)),
    "hires_pass": Control(
        "Hires fix", "in which of its passes the style acts", _choice(("both", "base", "hires"))
    ),
    "auto_weight": Control(
        "Even out the weights",
        "brings what the unit adds to this share of the text's attention; 0 is off",
        _slider(0, 2),
    ),
    "negative_weight": Control(
        "Weight for the negative prompt", "what its rows get of the style term", _slider(-2, 5)
    ),
    "embeds_scaling": Control(
        "What the weight multiplies", "values only, or keys too", _choice(EMBEDS_SCALING)
    ),
    "noise": Control(
        "Noise for the negative rows", "a noisy reference to move away from", _choice(NOISES)
    ),
    "noise_strength": Control("Strength of the noise", "0 is none", _slider(0, 1)),
    "noise_blur": Control("Blur of the noise", "its width in pixels", _slider(0, 32, 1)),
    "crop": Control(
        "Pictures that are not square",
        "center: their middle; pad: all, with a border; stretch: all, squeezed; tiles: the mean "
        "of several squares",
        _choice(CROPS),
    ),
    "sharpening": Control("Sharpening", "of what the image encoder sees", _slider(0, 1)),
    "combine": Control(
        "Several references",
        "concat: side by side; each: one for each picture of the batch; the rest work on their "
        "image vectors",
        _choice(COMBINE),
    ),
    "gamma": Control(
        "Keep of the picture",
        "gamma: 1 keeps the shapes of the picture to change; 0.3 is close to the style",
        _slider(0, 1),
    ),
    "tau": Control(
        "Sharpness of the style",
        "tau: multiplies the logits of the attention to it; 1 is none",
        _slider(0, 5),
    ),
    "adain": Control(
        "Statistics of the reference",
        "adain: how far mean and deviation become the reference's; StyleID: of the first latent, "
        "which carries the colours; StyleAligned: of queries and keys",
        _slider(0, 1),
    ),
    "steps_of_inversion": Control(
        "Steps of the inversion",
        "in which the reference goes back to noise; 0: as many as sampling steps",
        _slider(0, 1000, 1),
    ),
    "schedule": Control(
        "Noise levels",
        "sampler: its own levels, each asked once on the way up and once on the way down; "
        "published: those of StyleID's code, which goes up to t = 999 and down from t = 961",
        _choice(SCHEDULES),
    ),
    "shared_scale": Control(
        "Scale of the reference's keys", "below 1 the picture attends to it less", _slider(0, 5)
    ),
    "shared_shift": Control(
        "Closeness to the reference",
        "added to the reference's logits: 0.6931 counts it twice and suits a picture from a file, "
        "0 the first picture of a batch",
        _slider(-10, 10, 0.0001),
    ),
    "shared_norms": Control(
        "Share norms with the reference",
        "group norms over the picture and the reference together: closer to it",
        gr.Checkbox,
    ),
    "colour_calibration": Control(
        "Colours of the reference",
        "towards the end the picture gets its mean and deviation in each channel",
        gr.Checkbox,
    ),
    "lora": Control("LoRA", "for SDXL, from the WebUI's own folder", _file("")),
    "lora_scaling": Control(
        "How strengths count", "squared: as in the published code", _choice(LORA_SCALINGS)
    ),
    "style_strength": Control(
        "Strength of its style", "of the LoRA in up_blocks.0.attentions.1", _slider(-2, 5)
    ),
    "content_strength": Control(
        "Strength of its content", "of the LoRA in up_blocks.0.attentions.0", _slider(-2, 5)
    ),
    "report": Control("Measure the effect in each block", "shown under the picture", gr.Checkbox),
    "leak_meter": Control(
        "Measure how like the reference the result is", "needs the encoder again", gr.Checkbox
    ),
}


def build_control(name: str, number: int, elem_id: ElemId) -> Any:
    """The component for field `name` of unit `number`.

    Labels differ between units, because the WebUI saves defaults by label. A field without an
    entry of its own is a text box.
    """
    control = CONTROLS.get(name) or Control(
        name.replace("_", " ").capitalize(), FIELDS[name].metadata["meaning"], _words()
    )
    of_others = name in OF_METHODS and name not in METHOD_FIELDS[Unit().method]
    hidden = name in OPTIONAL or of_others
    optional = {"elem_classes": ["instantstyle-unneeded"]} if hidden else {}
    return control.build(
        **optional,
        value=(number == 1) if name == "enabled" else page_value(Unit(), name),
        label=unit_label(control.label, number),
        elem_id=elem_id(f"unit_{number}_{name}"),
        tooltip=control.tooltip,
    )


def unit_label(label: str, number: int) -> str:
    """`label` as unit `number` has it; the first unit's is plain."""
    return label if number == 1 else f"{label} ({number})"


def page_value(unit: Unit, name: str) -> Any:
    """The field `name` of `unit` as its control holds it."""
    value = getattr(unit, name)
    if value is None and name in OPTIONAL:
        return unit.weight
    return value if isinstance(value, (bool, int, float)) else str(value)
