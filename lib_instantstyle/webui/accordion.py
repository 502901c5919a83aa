"""The accordion in txt2img and img2img."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lib_instantstyle.hosts import model_folders
from lib_instantstyle.hosts.page import InputAccordion, PasteField, create_refresh_button
from lib_instantstyle.pure.catalog import scan
from lib_instantstyle.pure.presets import PRESETS
from lib_instantstyle.pure.units import AUTO, PAGE_FIELDS, PAGE_PICTURES, Unit
from lib_instantstyle.webui.paste import PASTERS

_DEFAULT = Unit()


@dataclass(frozen=True)
class Accordion:
    """The page's values, its switch first, and how infotext gets back into them."""

    components: list[Any]
    paste_fields: list[Any]
    paste_field_names: list[Any]


def build(elem_id: Callable[[str], str]) -> Accordion:
    """Build the accordion; without side effects, because the WebUI calls this up to three times."""
    parts: dict[str, Any] = {}
    with InputAccordion(False, label="InstantStyle", elem_id=elem_id("enabled")) as enabled:
        parts["enabled"] = enabled
        with gr.Row(elem_classes=["instantstyle-row"]):
            with gr.Column(scale=1, min_width=240):
                gr.HTML(_drop_zone(elem_id("image")), elem_id=elem_id("reference"))
            with gr.Column(scale=2, min_width=300):
                parts["preset"] = gr.Dropdown(
                    choices=list(PRESETS),
                    value=_DEFAULT.preset,
                    label="Preset",
                    elem_id=elem_id("preset"),
                    tooltip="; ".join(f"{p.id}: {p.summary}" for p in PRESETS.values()),
                )
                parts["weight"] = gr.Slider(
                    minimum=-2,
                    maximum=5,
                    step=0.05,
                    value=_DEFAULT.weight,
                    label="Style weight",
                    elem_id=elem_id("weight"),
                    tooltip="1 is as the adapter was trained; 0 is off",
                )
                with gr.Row():
                    parts["content"] = gr.Textbox(
                        value="",
                        label="Content to remove",
                        placeholder="such as: a cup of coffee",
                        lines=1,
                        max_lines=1,
                        elem_id=elem_id("content"),
                        tooltip="what the reference shows; | separates several things",
                    )
                    parts["content_scale"] = gr.Slider(
                        minimum=0,
                        maximum=2,
                        step=0.05,
                        value=_DEFAULT.content_scale,
                        label="How much of it",
                        elem_id=elem_id("content_scale"),
                        tooltip="0 is off; too much of it distorts the style",
                    )
                with gr.Row():
                    parts["start"] = _share("Style starts at", _DEFAULT.start, elem_id("start"))
                    parts["end"] = _share("Style ends at", _DEFAULT.end, elem_id("end"))
                with gr.Row():
                    parts["adapter"] = gr.Dropdown(
                        choices=_adapters(),
                        value=AUTO,
                        label="IP-Adapter",
                        elem_id=elem_id("adapter"),
                        tooltip="auto takes the best one that fits the loaded checkpoint",
                    )
                    create_refresh_button(
                        parts["adapter"],
                        lambda: None,
                        lambda: {"choices": _adapters()},
                        elem_id("adapter_refresh"),
                    )
                parts["blocks"] = gr.Textbox(
                    value="",
                    label="Block weights",
                    lines=1,
                    max_lines=1,
                    placeholder="instead of the preset: up_blocks.0.attentions.1=1; 3:0.5",
                    elem_id=elem_id("blocks"),
                    tooltip="names, transformer indices, or one number for each transformer",
                )
        # The picture travels as text, so that whatever forwards arguments can carry it. A text box
        # this long must never be rendered: it would freeze the page.
        parts["image"] = gr.Textbox(
            value="",
            label="Reference picture",
            elem_id=elem_id("image"),
            elem_classes=["instantstyle-hidden"],
        )
        parts["image"].do_not_save_to_config = True
    names = ("enabled", *PAGE_FIELDS, *PAGE_PICTURES)
    components = [parts[name] for name in names]
    pasters = [PASTERS[name] for name in names]
    return Accordion(
        components,
        [PasteField(parts[name], paste) for name, paste in zip(names, pasters)],
        # "Send to img2img" copies the fields whose names both tabs share; functions that both
        # tabs share are as good a name as a label, and carry the picture along.
        pasters,
    )


def _share(label: str, value: float, elem_id: str) -> Any:
    return gr.Slider(
        minimum=0,
        maximum=1,
        step=0.01,
        value=value,
        label=label,
        elem_id=elem_id,
        tooltip="part of the sampling steps, in each pass of hires fix",
    )


def _adapters() -> list[str]:
    return [AUTO, *(file.name for file in scan(model_folders()).adapters)]


def _drop_zone(target: str) -> str:
    """Static markup; the script in javascript/ brings it to life for the text box `target`."""
    return (
        f'<div class="instantstyle-drop" data-target="{target}" tabindex="0" role="button" '
        'aria-label="Reference picture: drop, paste or click">'
        '<img class="instantstyle-preview" alt="" hidden>'
        '<span class="instantstyle-hint">Drop a reference picture here<br>'
        "click to choose, or paste</span>"
        '<button type="button" class="instantstyle-clear" title="Remove the reference" '
        'aria-label="Remove the reference" hidden>&times;</button>'
        '<input type="file" accept="image/*" hidden>'
        "</div>"
    )
