"""One unit on the page: the reference and the few controls that matter; the rest in "Advanced"."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lib_instantstyle.hosts.page import create_refresh_button
from lib_instantstyle.pure.units import PAGE_FIELDS
from lib_instantstyle.webui import markup, style_page
from lib_instantstyle.webui.choices import adapter_choices
from lib_instantstyle.webui.controls import ElemId, build_control

# The groups of "Advanced", each with its rows. What no row names follows after them, so that no
# field is out of reach.
_GROUPS = (
    (
        "Method",
        (
            ("method",),
            ("adapter",),
            ("gamma", "tau"),
            ("shared_scale", "shared_shift"),
            ("adain", "steps_of_inversion"),
            ("schedule",),
            ("shared_norms", "colour_calibration"),
            ("lora", "lora_scaling"),
            ("style_strength", "content_strength"),
        ),
    ),
    ("Blocks and weights", (("blocks",), ("auto_weight", "embeds_scaling"))),
    ("When the style acts", (("start", "end"), ("time_curve", "hires_pass"))),
    ("Reference", (("combine", "crop"), ("sharpening",))),
    ("Content to remove", (("content_mode", "clip_source"),)),
    ("Negative prompt", (("negative_weight", "noise"), ("noise_strength", "noise_blur"))),
    ("Measured with the picture", (("report", "leak_meter"),)),
)
_MAIN = (
    "enabled",
    "style",
    "preset",
    "weight",
    "layout_weight",
    "boost",
    "content",
    "content_scale",
)
_MASKS = (
    ("reference_mask", "Part of the reference that counts", "a mask: white counts"),
    ("mask", "Where the style acts", "a mask: white has the style"),
    ("negative_image", "Away from this picture", "for the negative prompt"),
)


def build_unit(number: int, elem_id: ElemId, tab: str) -> dict[str, Any]:
    """The components of unit `number` by field, and its "status"; pictures are built elsewhere."""
    parts: dict[str, Any] = {}

    def add(*names: str) -> None:
        for name in names:
            parts[name] = build_control(name, number, elem_id)

    def own(name: str) -> str:
        return elem_id(f"unit_{number}_{name}")

    with gr.Row(elem_classes=["instantstyle-row"]):
        with gr.Column(scale=1, min_width=240):
            zone = markup.drop_zone(
                own("image"), "Drop a reference picture here", "click to choose, or paste", True
            )
            button = markup.last_result_button(own("image"), tab)
            gr.HTML(zone + button, elem_id=own("reference"))
            parts["crops_button"] = _button("What CLIP sees", own("crops_button"))
            parts["crops"] = gr.HTML("", elem_id=own("crops"))
        with gr.Column(scale=2, min_width=300):
            add("enabled", "preset", "weight", "layout_weight", "boost")
            with gr.Row():
                add("content", "content_scale")
            parts["words_button"] = _button("What does the reference show?", own("words_button"))
            parts["words"] = gr.HTML("", elem_id=own("words"))
            parts["status"] = gr.HTML("", elem_id=own("status"))
            gr.HTML(markup.block_map_frame(own("status"), own("blocks")), elem_id=own("map"))
    parts |= style_page.build(number, elem_id)
    with gr.Accordion("Advanced", open=False, elem_id=own("advanced")):
        named = {*_MAIN, *(name for _, rows in _GROUPS for row in rows for name in row)}
        others = tuple((name,) for name in PAGE_FIELDS if name not in named)
        for title, rows in (*_GROUPS, *([("Other", others)] if others else [])):
            with gr.Column(elem_classes=["instantstyle-group"]):
                gr.HTML(markup.heading(title))
                for row in rows:
                    with gr.Row(elem_classes=["instantstyle-row"]):
                        add(*row)
                        if "adapter" in row:
                            create_refresh_button(
                                parts["adapter"],
                                lambda: None,
                                lambda: {"choices": adapter_choices()},
                                own("adapter_refresh"),
                            )
        with gr.Column(elem_classes=["instantstyle-group"]):
            gr.HTML(markup.heading("Masks and another picture"))
            with gr.Row(elem_classes=["instantstyle-row"]):
                for name, title, hint in _MASKS:
                    with gr.Column(min_width=140, elem_id=own(f"{name}_drop")):
                        gr.HTML(markup.drop_zone(own(name), title, hint))
    return parts


def _button(title: str, elem_id: str) -> Any:
    button = gr.Button(title, elem_id=elem_id, size="sm", elem_classes=["instantstyle-small"])
    button.do_not_save_to_config = True  # defaults are saved by label, and this has no value
    return button
