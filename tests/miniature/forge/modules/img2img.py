"""What the Generate button of img2img calls: canvases send picture and drawing apart."""

from __future__ import annotations

import gradio as gr
from modules_forge import main_thread
from PIL import Image

from tests.miniature.modules import img2img as a1111
from tests.miniature.modules.img2img import *  # noqa: F403


def _over(picture: Image.Image | None, drawing: Image.Image | None) -> Image.Image | None:
    if picture is None or drawing is None:
        return picture
    return Image.alpha_composite(picture, drawing)


def _mask(drawing: Image.Image | None) -> Image.Image | None:
    """White where something was drawn."""
    if drawing is None:
        return None
    drawn = drawing.getchannel("A").point(lambda v: 255 if v > 128 else 0)
    return Image.merge("RGBA", (drawn, drawn, drawn, Image.new("L", drawn.size, 255)))


def img2img(
    id_task: str,
    request: gr.Request,
    mode: int,
    prompt: str,
    negative_prompt: str,
    prompt_styles,
    init_img,
    sketch,
    sketch_fg,
    init_img_with_mask,
    init_img_with_mask_fg,
    inpaint_color_sketch,
    inpaint_color_sketch_fg,
    *args,
):
    return main_thread.run_and_wait_result(
        a1111.img2img,
        id_task,
        request,
        mode,
        prompt,
        negative_prompt,
        prompt_styles,
        init_img,
        _over(sketch, sketch_fg),
        {"image": init_img_with_mask, "mask": _mask(init_img_with_mask_fg)},
        _over(inpaint_color_sketch, inpaint_color_sketch_fg),
        inpaint_color_sketch,
        *args,
    )
