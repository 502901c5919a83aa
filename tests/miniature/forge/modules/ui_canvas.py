"""ForgeCanvas in place of Gradio's picture boxes, in img2img."""

from __future__ import annotations

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
