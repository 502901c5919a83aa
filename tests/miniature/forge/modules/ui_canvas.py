"""ForgeCanvas in place of Gradio's picture boxes, in img2img."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules_forge.forge_canvas.canvas import ForgeCanvas, canvas_head

from tests.miniature.modules.ui_canvas import Canvas

PAGE = {"head": canvas_head}


def create(label: str, elem_id: str, tool: str, image_mode: str, height: int) -> Canvas:
    canvas = ForgeCanvas(elem_id=elem_id, height=512, no_scribbles=tool == "editor")
    painted = [] if tool == "editor" else [canvas.foreground]
    return Canvas(canvas.background, [canvas.background, *painted])


def original_of_sketch() -> list:
    """Nothing more: picture and drawing come apart."""
    return []


def chosen_tab(tabs: list) -> Any:
    """What tells a generation which sub-tab is open: the server keeps the number."""
    number = gr.Number(value=0, visible=False)
    for i, tab in enumerate(tabs):
        tab.select(fn=lambda i=i: i, inputs=[], outputs=[number])
    return number
