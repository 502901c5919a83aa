"""Parts that both tabs have: the results on the right, and the refresh button."""

from __future__ import annotations

import dataclasses
import html
import json
from typing import Any

import gradio as gr
from modules import call_queue, scripts, shared
from modules import infotext_utils as parameters_copypaste
from modules.images import save_image
from modules.infotext_utils import image_from_url_text
from modules.ui_components import ToolButton

folder_symbol = "\U0001f4c2"
refresh_symbol = "\U0001f504"


def plaintext_to_html(text: str, classname: str | None = None) -> str:
    content = "<br>\n".join(html.escape(x) for x in text.split("\n"))
    return f"<p class='{classname}'>{content}</p>" if classname else f"<p>{content}</p>"


def update_generation_info(generation_info, html_info, img_index):
    try:
        texts = json.loads(generation_info)["infotexts"]
        if 0 <= img_index < len(texts):
            return plaintext_to_html(texts[img_index]), gr.update()
    except Exception:
        return html_info, gr.update()
    return html_info, gr.update()


def save_files(js_data, images, do_make_zip, index):
    """The save button: the shown picture, or all, into the folder of the settings."""
    data = json.loads(js_data)
    chosen = [index] if index is not None and index >= 0 else range(len(images))
    names = []
    for i in chosen:
        text = data["infotexts"][i]
        params = parameters_copypaste.parse_generation_parameters(text, [])
        file, _ = save_image(
            image_from_url_text(images[i]),
            shared.opts.outdir_save,
            "",
            seed=params["Seed"],
            prompt=params["Prompt"],
            info=text,
            save_to_dirs=False,
        )
        names.append(file)
    return gr.File.update(value=names, visible=True), plaintext_to_html(f"Saved: {names[0]}")


@dataclasses.dataclass
class OutputPanel:
    gallery: Any = None
    generation_info: Any = None
    infotext: Any = None
    html_log: Any = None
    button_upscale: Any = None


def create_output_panel(tabname: str, outdir: str, toprow=None) -> OutputPanel:
    res = OutputPanel()
    with (
        gr.Column(elem_id=f"{tabname}_results"),
        gr.Column(variant="panel", elem_id=f"{tabname}_results_panel"),
    ):
        with gr.Group(elem_id=f"{tabname}_gallery_container"):
            res.gallery = gr.Gallery(
                label="Output",
                show_label=False,
                elem_id=f"{tabname}_gallery",
                columns=4,
                preview=True,
                height=shared.opts.gallery_height or None,
            )
        with gr.Row(elem_id=f"image_buttons_{tabname}", elem_classes="image-buttons"):
            ToolButton(
                folder_symbol,
                elem_id=f"{tabname}_open_folder",
                visible=not shared.cmd_opts.hide_ui_dir_config,
                tooltip="Open images output directory.",
            )
            save = ToolButton("💾", elem_id=f"save_{tabname}", tooltip="Save the image")
            buttons = {
                "img2img": ToolButton(
                    "🖼️", elem_id=f"{tabname}_send_to_img2img", tooltip="Send to img2img tab."
                ),
                "inpaint": ToolButton(
                    "🎨️", elem_id=f"{tabname}_send_to_inpaint", tooltip="Send to inpaint tab."
                ),
            }
            if tabname == "txt2img":
                res.button_upscale = ToolButton(
                    "✨",
                    elem_id=f"{tabname}_upscale",
                    tooltip="Create an upscaled version using hires fix settings.",
                )
        download = gr.File(
            None,
            file_count="multiple",
            interactive=False,
            show_label=False,
            visible=False,
            elem_id=f"download_files_{tabname}",
        )
        with gr.Group():
            res.infotext = gr.HTML(elem_id=f"html_info_{tabname}", elem_classes="infotext")
            res.html_log = gr.HTML(elem_id=f"html_log_{tabname}", elem_classes="html-log")
            res.generation_info = gr.Textbox(visible=False, elem_id=f"generation_info_{tabname}")
            info_button = gr.Button(visible=False, elem_id=f"{tabname}_generation_info_button")
        info_button.click(
            fn=update_generation_info,
            _js="function(x, y, z){ return [x, y, selected_gallery_index()] }",
            inputs=[res.generation_info, res.infotext, res.infotext],
            outputs=[res.infotext, res.infotext],
            show_progress=False,
        )
        save.click(
            fn=call_queue.wrap_gradio_call_no_job(save_files),
            _js="(x, y, z, w) => [x, y, false, selected_gallery_index()]",
            inputs=[res.generation_info, res.gallery, res.infotext, res.infotext],
            outputs=[download, res.html_log],
            show_progress=False,
        )
        from_txt2img = tabname == "txt2img"
        runner = scripts.scripts_txt2img if from_txt2img else scripts.scripts_img2img
        for target, button in buttons.items():
            parameters_copypaste.register_paste_params_button(
                parameters_copypaste.ParamBinding(
                    paste_button=button,
                    tabname=target,
                    source_image_component=res.gallery,
                    source_tabname="txt2img" if from_txt2img else None,
                    paste_field_names=runner.paste_field_names,
                )
            )
    return res


def create_refresh_button(refresh_component, refresh_method, refreshed_args, elem_id):
    """A 🔄 next to one component, or to several."""
    many = isinstance(refresh_component, list)
    components = refresh_component if many else [refresh_component]
    label = next((x.label for x in components if getattr(x, "label", None) is not None), None)

    def refresh():
        refresh_method()
        args = refreshed_args() if callable(refreshed_args) else refreshed_args
        for component in components:
            for key, value in (args or {}).items():
                setattr(component, key, value)
        updates = [gr.update(**(args or {})) for _ in components]
        return updates if len(updates) > 1 else updates[0]

    button = ToolButton(
        value=refresh_symbol,
        elem_id=elem_id,
        tooltip=f"{label}: refresh" if label else "Refresh",
    )
    button.click(fn=refresh, inputs=[], outputs=components)
    return button
