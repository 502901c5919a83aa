"""The img2img tab: source pictures in sub-tabs, masks, sizes."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
from gradio.context import Context
from modules import (
    img2img,
    infotext_utils,
    scripts,
    shared,
    ui_canvas,
    ui_common,
    ui_extra_networks,
    ui_toprow,
)
from modules.call_queue import wrap_gradio_gpu_call
from modules.infotext_utils import PasteField
from modules.ui_components import DummyComponent, FormGroup, FormRow
from modules.ui_txt2img import (
    connect_restore_progress,
    connect_token_counters,
    create_batch,
    create_override_settings,
    create_sizes,
    create_switch_button,
    ordered_ui_categories,
    slider,
)

TAB = "img2img"


def _picture(label: str, elem_id: str, **kwargs) -> gr.Image:
    return gr.Image(
        label=label, elem_id=elem_id, source="upload", interactive=True, type="pil", **kwargs
    )


def _create_sources(f: SimpleNamespace) -> None:
    height = shared.opts.img2img_editor_height
    with gr.Tabs(elem_id="mode_img2img"):
        with gr.TabItem("img2img", id="img2img", elem_id="img2img_img2img_tab") as plain:
            init = ui_canvas.create("Image for img2img", "img2img_image", "editor", "RGBA", height)
        with gr.TabItem("Sketch", id="img2img_sketch", elem_id="img2img_img2img_sketch_tab") as sk:
            sketch = ui_canvas.create(
                "Image for img2img", "img2img_sketch", "color-sketch", "RGB", height
            )
        with gr.TabItem("Inpaint", id="inpaint", elem_id="img2img_inpaint_tab") as inpaint:
            masked = ui_canvas.create(
                "Image for inpainting with mask", "img2maskimg", "sketch", "RGBA", height
            )
        with gr.TabItem(
            "Inpaint sketch", id="inpaint_sketch", elem_id="img2img_inpaint_sketch_tab"
        ) as inpaint_sketch:
            color = ui_canvas.create(
                "Color sketch inpainting", "inpaint_sketch", "color-sketch", "RGB", height
            )
            color.inputs += ui_canvas.original_of_sketch()
        f.init_img, f.init_img_with_mask = init.value, masked.value
        f.sources = [x for box in (init, sketch, masked, color) for x in box.inputs]
        with gr.TabItem(
            "Inpaint upload", id="inpaint_upload", elem_id="img2img_inpaint_upload_tab"
        ) as upload:
            f.init_img_inpaint = _picture("Image for img2img", "img_inpaint_base", show_label=False)
            f.init_mask_inpaint = _picture("Mask", "img_inpaint_mask", image_mode="RGBA")
        with gr.TabItem("Batch", id="batch", elem_id="img2img_batch_tab") as batch:
            _create_batch_tab(f)
    f.mode_tabs = [plain, sk, inpaint, inpaint_sketch, upload, batch]
    with FormRow():
        f.resize_mode = gr.Radio(
            label="Resize mode",
            elem_id="resize_mode",
            type="index",
            value="Just resize",
            choices=[
                "Just resize",
                "Crop and resize",
                "Resize and fill",
                "Just resize (latent upscale)",
            ],
        )


def _create_batch_tab(f: SimpleNamespace) -> None:
    hidden = shared.hide_dirs
    with gr.Tabs(elem_id="img2img_batch_source"):
        f.batch_source_type = gr.Textbox(visible=False, value="upload")
        with gr.TabItem("Upload", id="batch_upload", elem_id="img2img_batch_upload_tab") as up:
            f.batch_upload = gr.Files(
                label="Files", interactive=True, elem_id="img2img_batch_upload"
            )
        with gr.TabItem(
            "From directory", id="batch_from_dir", elem_id="img2img_batch_from_dir_tab"
        ) as from_dir:
            f.batch_input_dir = gr.Textbox(
                label="Input directory", **hidden, elem_id="img2img_batch_input_dir"
            )
            f.batch_output_dir = gr.Textbox(
                label="Output directory", **hidden, elem_id="img2img_batch_output_dir"
            )
            f.batch_mask_dir = gr.Textbox(
                label="Inpaint batch mask directory",
                **hidden,
                elem_id="img2img_batch_inpaint_mask_dir",
            )
    up.select(fn=lambda: "upload", inputs=[], outputs=[f.batch_source_type])
    from_dir.select(fn=lambda: "from dir", inputs=[], outputs=[f.batch_source_type])
    with gr.Accordion("PNG info", open=False):
        f.batch_use_png_info = gr.Checkbox(
            label="Append png info to prompts", elem_id="img2img_batch_use_png_info"
        )
        f.batch_png_info_dir = gr.Textbox(
            label="PNG info directory", **hidden, elem_id="img2img_batch_png_info_dir"
        )
        f.batch_png_info_props = gr.CheckboxGroup(
            ["Prompt", "Negative prompt", "Seed", "CFG scale", "Sampler", "Steps"],
            label="Parameters to take from png info",
        )


def _create_inpaint_controls(f: SimpleNamespace) -> None:
    with FormGroup(elem_id="inpaint_controls", visible=False) as f.inpaint_controls:
        with FormRow():
            f.mask_blur = slider(TAB, "mask_blur", "Mask blur", 0, 64, 1, 4)
            f.mask_alpha = gr.Slider(
                label="Mask transparency", visible=False, elem_id="img2img_mask_alpha"
            )
        f.inpainting_mask_invert = gr.Radio(
            label="Mask mode",
            choices=["Inpaint masked", "Inpaint not masked"],
            value="Inpaint masked",
            type="index",
            elem_id="img2img_mask_mode",
        )
        f.inpainting_fill = gr.Radio(
            label="Masked content",
            value="original",
            type="index",
            choices=["fill", "original", "latent noise", "latent nothing"],
            elem_id="img2img_inpainting_fill",
        )
        with FormRow():
            f.inpaint_full_res = gr.Radio(
                label="Inpaint area",
                choices=["Whole picture", "Only masked"],
                type="index",
                value="Whole picture",
                elem_id="img2img_inpaint_full_res",
            )
            f.inpaint_full_res_padding = slider(
                TAB, "inpaint_full_res_padding", "Only masked padding, pixels", 0, 256, 4, 32
            )


def _create_dimensions(f: SimpleNamespace) -> None:
    with FormRow():
        with gr.Column(elem_id="img2img_column_size", scale=4):
            f.selected_scale_tab = gr.Number(value=0, visible=False)
            with gr.Tabs(elem_id="img2img_tabs_resize"):
                with gr.Tab(label="Resize to", id="to", elem_id="img2img_tab_resize_to") as to:
                    create_sizes(TAB, f)
                    with gr.Column(elem_id="img2img_dimensions_row", scale=1):
                        create_switch_button(TAB)
                with gr.Tab(label="Resize by", id="by", elem_id="img2img_tab_resize_by") as by:
                    f.scale_by = slider(TAB, "scale", "Scale", 0.05, 4.0, 0.05, 1.0)
            to.select(fn=lambda: 0, inputs=[], outputs=[f.selected_scale_tab])
            by.select(fn=lambda: 1, inputs=[], outputs=[f.selected_scale_tab])
        if shared.opts.dimensions_and_batch_together:
            with gr.Column(elem_id="img2img_column_batch"):
                create_batch(TAB, f)


def _create_section(category: str, f: SimpleNamespace) -> None:
    runner = scripts.scripts_img2img
    if category == "image":
        _create_sources(f)
    elif category == "dimensions":
        _create_dimensions(f)
    elif category == "denoising":
        f.denoising_strength = slider(
            TAB, "denoising_strength", "Denoising strength", 0.0, 1.0, 0.01, 0.75
        )
    elif category == "cfg":
        with gr.Row():
            f.cfg_scale = slider(TAB, "cfg_scale", "CFG Scale", 1.0, 30.0, 0.5, 7.0)
            f.image_cfg_scale = slider(
                TAB, "image_cfg_scale", "Image CFG Scale", 0, 3.0, 0.05, 1.5, visible=False
            )
    elif category == "accordions":
        with gr.Row(elem_id="img2img_accordions", elem_classes="accordions"):
            runner.setup_ui_for_section(category)
    elif category == "batch" and not shared.opts.dimensions_and_batch_together:
        with FormRow(elem_id="img2img_column_batch"):
            create_batch(TAB, f)
    elif category == "override_settings":
        f.override_settings = create_override_settings(TAB)
    elif category == "scripts":
        with FormGroup(elem_id="img2img_script_container"):
            f.custom_inputs = runner.setup_ui()
    elif category == "inpaint":
        _create_inpaint_controls(f)
    if category != "accordions":
        runner.setup_ui_for_section(category)


def _paste_fields(f: SimpleNamespace, toprow) -> list:
    return [
        PasteField(component, label, api=api)
        for component, label, api in (
            (toprow.prompt, "Prompt", "prompt"),
            (toprow.negative_prompt, "Negative prompt", "negative_prompt"),
            (f.cfg_scale, "CFG scale", "cfg_scale"),
            (f.width, "Size-1", "width"),
            (f.height, "Size-2", "height"),
            (f.batch_size, "Batch size", "batch_size"),
            (f.denoising_strength, "Denoising strength", None),
            (f.mask_blur, "Mask blur", None),
            (f.inpainting_mask_invert, "Mask mode", None),
            (f.inpainting_fill, "Masked content", None),
            (f.inpaint_full_res, "Inpaint area", None),
            (f.inpaint_full_res_padding, "Masked area padding", None),
        )
    ] + scripts.scripts_img2img.infotext_fields


def create() -> None:
    f = SimpleNamespace()
    toprow = ui_toprow.Toprow(is_img2img=True)
    dummy = DummyComponent(visible=False)
    tabs = gr.Tabs(elem_id="img2img_extra_tabs", elem_classes=["extra-networks"])
    with (
        tabs,
        gr.Tab("Generation", id="img2img_generation") as generation,
        gr.Row(equal_height=False),
    ):
        with gr.Column(variant="compact", elem_id="img2img_settings"):
            scripts.scripts_img2img.prepare_ui()
            for category in ordered_ui_categories():
                _create_section(category, f)
        for i, tab in enumerate(f.mode_tabs):
            tab.select(
                fn=lambda i=i: (gr.update(visible=i in (2, 3, 4)), gr.update(visible=i == 3)),
                inputs=[],
                outputs=[f.inpaint_controls, f.mask_alpha],
            )
        chosen_tab = ui_canvas.chosen_tab(f.mode_tabs)
        panel = ui_common.create_output_panel(TAB, shared.opts.outdir_img2img_samples, toprow)
    with tabs:
        ui_extra_networks.create_ui(Context.root_block, [generation], "img2img")
    outputs = [panel.gallery, panel.generation_info, panel.infotext, panel.html_log]
    generate = {
        "fn": wrap_gradio_gpu_call(img2img.img2img, extra_outputs=[None, "", ""]),
        "_js": "submit_img2img",
        "inputs": [
            dummy,
            chosen_tab,
            toprow.prompt,
            toprow.negative_prompt,
            toprow.ui_styles.dropdown,
            *f.sources,
            f.init_img_inpaint,
            f.init_mask_inpaint,
            f.mask_blur,
            f.mask_alpha,
            f.inpainting_fill,
            f.batch_count,
            f.batch_size,
            f.cfg_scale,
            f.image_cfg_scale,
            f.denoising_strength,
            f.selected_scale_tab,
            f.height,
            f.width,
            f.scale_by,
            f.resize_mode,
            f.inpaint_full_res,
            f.inpaint_full_res_padding,
            f.inpainting_mask_invert,
            f.batch_input_dir,
            f.batch_output_dir,
            f.batch_mask_dir,
            f.override_settings,
            f.batch_use_png_info,
            f.batch_png_info_props,
            f.batch_png_info_dir,
            f.batch_source_type,
            f.batch_upload,
            *f.custom_inputs,
        ],
        "outputs": outputs,
        "show_progress": False,
    }
    toprow.prompt.submit(**generate)
    toprow.submit.click(**generate)
    connect_restore_progress(toprow, dummy, outputs, "restoreProgressImg2img")
    fields = _paste_fields(f, toprow)
    infotext_utils.add_paste_fields("img2img", f.init_img, fields, f.override_settings)
    infotext_utils.add_paste_fields("inpaint", f.init_img_with_mask, fields, f.override_settings)
    infotext_utils.register_paste_params_button(
        infotext_utils.ParamBinding(
            paste_button=toprow.paste,
            tabname="img2img",
            source_text_component=toprow.prompt,
            source_image_component=None,
        )
    )
    connect_token_counters(toprow, scripts.scripts_img2img.script("Sampler").steps)
