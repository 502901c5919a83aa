"""The boxes of img2img that take a picture and what is painted on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from modules.ui_components import DummyComponent

PAGE: dict = {}  # what the page's Blocks need for it


@dataclass
class Canvas:
    """value: the component that holds the picture. inputs: what a generation is given of it."""

    value: Any
    inputs: list


def create(label: str, elem_id: str, tool: str, image_mode: str, height: int) -> Canvas:
    image = gr.Image(
        label=label,
        elem_id=elem_id,
        source="upload",
        interactive=True,
        type="pil",
        tool=tool,
        image_mode=image_mode,
        height=height,
        show_label=False,
    )
    return Canvas(image, [image])


def original_of_sketch() -> list:
    """Further inputs of the inpaint sketch: where the picture before the drawing is kept."""
    return [gr.State(None)]


def chosen_tab(tabs: list) -> Any:
    """What tells a generation which sub-tab is open: the page's script fills it in."""
    return DummyComponent(visible=False)
