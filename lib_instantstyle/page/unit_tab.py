"""One unit on the page: method and preset, the reference beside the main controls, the block map
with the status, and folded parts."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lib_instantstyle.hosts.page import create_refresh_button
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page import markup, styles
from lib_instantstyle.page.controls import ElemId, build_control
from lib_instantstyle.page.file_lists import adapter_choices
from lib_instantstyle.units.field import (
    ADVANCED,
    CONTENT,
    MAIN,
    METHOD,
    PICTURES,
    TOP,
    WORDS,
)


def build_unit(number: int, elem_id: ElemId, tab: str) -> dict[str, Any]:
    """The components of unit `number`, by field or other name; accordion.py adds the pictures."""
    parts: dict[str, Any] = {}

    def add(*names: str) -> None:
        for name in names:
            parts[name] = build_control(name, number, elem_id, tab)

    def own(name: str) -> str:
        return elem_id(f"unit_{number}_{name}")

    def fields(group: str) -> None:
        """All fields of a group; style.css puts as many side by side as there is room for.

        A row for each would cost two more components, on a page that has hundreds.
        """
        for name in fields_of(group):
            add(name)
            if name == "adapter":
                create_refresh_button(
                    parts["adapter"],
                    lambda: None,
                    lambda: {"choices": adapter_choices()},
                    own("adapter_refresh"),
                )

    fields(TOP)
    with gr.Row(elem_classes=["instantstyle-row"]):
        with gr.Column(scale=1, min_width=240):
            image = TABLE.fields["image"]
            zone = markup.drop_zone(own("image"), image.label, image.tooltip, several=True)
            gr.HTML(zone, elem_id=own("reference"))
            with gr.Row(elem_classes=["instantstyle-buttons"]):
                gr.HTML(markup.picture_buttons(own("image"), tab), elem_id=own("last_result"))
                parts["crops_button"] = markup.small_button("What CLIP sees", own("crops_button"))
            parts["crops"] = gr.HTML("", elem_id=own("crops"))
        with gr.Column(scale=2, min_width=300):
            fields(MAIN)
            fields(METHOD)
            with gr.Column(elem_classes=["instantstyle-group"]):
                gr.HTML(markup.heading(CONTENT))
                fields(WORDS)
                parts["words_button"] = markup.small_button(
                    "What does the reference show?", own("words_button")
                )
                parts["words"] = gr.HTML("", elem_id=own("words"))
    # The map first: what is clicked must not move when the sentences below it change.
    gr.HTML(markup.block_map_frame(own("status"), own("blocks")), elem_id=own("map"))
    parts["status"] = gr.HTML("", elem_id=own("status"))
    with (
        gr.Accordion(PICTURES, open=False, elem_id=own("regions")),
        gr.Row(elem_classes=["instantstyle-row"]),
    ):
        for name in fields_of(PICTURES)[1:]:
            field = TABLE.fields[name]
            zone = markup.drop_zone(own(name), field.label, field.tooltip)
            # The region of the picture to come can be drawn; other pictures cannot.
            zone += markup.region_frame(own(name)) if name == "mask" else ""
            gr.HTML(zone, elem_id=own(f"{name}_drop"))
    parts |= styles.build(number, elem_id)
    with gr.Accordion("Advanced", open=False, elem_id=own("advanced")):
        for title in filter(fields_of, ADVANCED):
            gr.HTML(markup.heading(title))
            fields(title)
    return parts


def fields_of(group: str) -> list[str]:
    """The names of the fields of a group of the page, in their order."""
    ordered = sorted(TABLE.fields.values(), key=lambda field: (field.row, field.column))
    return [field.name for field in ordered if field.group == group]
