"""PNG Info: reads a picture's infotext and sends it to a tab."""

from __future__ import annotations

import html

import gradio as gr
from modules import images, infotext_utils
from modules.call_queue import wrap_gradio_call_no_job


def run_pnginfo(image):
    if image is None:
        return "", "", ""
    geninfo, items = images.read_info_from_image(image)
    shown = {**({"parameters": geninfo} if geninfo else {}), **items}
    parts = [
        f"<div class='infotext'><p><b>{html.escape(k)}</b></p><p>{html.escape(str(v))}</p></div>"
        for k, v in shown.items()
    ]
    return "", geninfo, "".join(parts) or "<div><p>Nothing found in the image.</p></div>"


def create() -> None:
    with gr.Row(equal_height=False):
        with gr.Column(variant="panel"):
            image = gr.Image(
                elem_id="pnginfo_image",
                label="Source",
                source="upload",
                interactive=True,
                type="pil",
            )
        with gr.Column(variant="panel"):
            html_before = gr.HTML()
            info = gr.Textbox(visible=False, elem_id="pnginfo_generation_info")
            html_after = gr.HTML()
            with gr.Row():
                buttons = infotext_utils.create_buttons(["txt2img", "img2img", "inpaint"])
            for tabname, button in buttons.items():
                infotext_utils.register_paste_params_button(
                    infotext_utils.ParamBinding(
                        paste_button=button,
                        tabname=tabname,
                        source_text_component=info,
                        source_image_component=image,
                    )
                )
    image.change(
        fn=wrap_gradio_call_no_job(run_pnginfo),
        inputs=[image],
        outputs=[html_before, info, html_after],
    )
