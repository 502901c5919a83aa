"""The txt2img tab, section by section in the order of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import gradio as gr
from gradio.context import Context
from modules import (
    infotext_utils,
    processing,
    progress,
    scripts,
    sd_models,
    sd_samplers,
    sd_schedulers,
    shared,
    shared_items,
    txt2img,
    ui_common,
    ui_extra_networks,
    ui_toprow,
)
from modules.call_queue import wrap_gradio_gpu_call, wrap_queued_call
from modules.infotext_utils import PasteField
from modules.ui_components import (
    DummyComponent,
    FormGroup,
    FormHTML,
    FormRow,
    InputAccordion,
    ToolButton,
)

switch_values_symbol = "\U000021c5"


def ordered_ui_categories() -> Iterator[str]:
    user_order = {x.strip(): i * 2 + 1 for i, x in enumerate(shared.opts.ui_reorder_list)}
    categories = enumerate(shared_items.ui_reorder_categories())
    for _, name in sorted(categories, key=lambda x: user_order.get(x[1], x[0] * 2)):
        yield name


def calc_resolution_hires(enable, width, height, hr_scale, hr_resize_x, hr_resize_y) -> str:
    if not enable:
        return ""
    p = processing.StableDiffusionProcessingTxt2Img(
        width=width,
        height=height,
        enable_hr=True,
        hr_scale=hr_scale,
        hr_resize_x=hr_resize_x,
        hr_resize_y=hr_resize_y,
    )
    p.calculate_target_resolution()
    after = f"{p.hr_resize_x or p.hr_upscale_to_x}x{p.hr_resize_y or p.hr_upscale_to_y}"
    return f"from <span>{p.width}x{p.height}</span> to <span>{after}</span>"


def update_token_counter(text: str, *rest) -> str:
    from modules import extra_networks, sd_hijack

    text = extra_networks.parse_prompt(text)[0]
    count, limit = sd_hijack.model_hijack.get_prompt_lengths(text)
    return f"<span class='gr-box gr-text-input'>{count}/{limit}</span>"


def slider(tab: str, name: str, label: str, low, high, step, value, **kwargs) -> gr.Slider:
    return gr.Slider(
        minimum=low,
        maximum=high,
        step=step,
        label=label,
        value=value,
        elem_id=f"{tab}_{name}",
        **kwargs,
    )


def create_sizes(tab: str, f: SimpleNamespace) -> None:
    f.width = slider(tab, "width", "Width", 64, 2048, 8, 512)
    f.height = slider(tab, "height", "Height", 64, 2048, 8, 512)


def create_switch_button(tab: str) -> None:
    button = ToolButton(
        value=switch_values_symbol, elem_id=f"{tab}_res_switch_btn", tooltip="Switch width/height"
    )
    button.click(
        fn=None,
        _js=f"function(){{switchWidthHeight('{tab}')}}",
        inputs=None,
        outputs=None,
        show_progress=False,
    )


def create_batch(tab: str, f: SimpleNamespace) -> None:
    f.batch_count = gr.Slider(
        minimum=1, step=1, label="Batch count", value=1, elem_id=f"{tab}_batch_count"
    )
    f.batch_size = slider(tab, "batch_size", "Batch size", 1, 8, 1, 1)


def create_override_settings(tab: str) -> gr.Dropdown:
    with FormRow(elem_id=f"{tab}_override_settings_row"):
        dropdown = gr.Dropdown(
            [],
            label="Override settings",
            visible=False,
            elem_id=f"{tab}_override_settings",
            multiselect=True,
        )
    dropdown.change(
        fn=lambda x: gr.Dropdown.update(visible=bool(x)), inputs=[dropdown], outputs=[dropdown]
    )
    return dropdown


def connect_token_counters(toprow, steps) -> None:
    for text, counter, button in (
        (toprow.prompt, toprow.token_counter, toprow.token_button),
        (toprow.negative_prompt, toprow.negative_token_counter, toprow.negative_token_button),
    ):
        button.click(
            fn=wrap_queued_call(update_token_counter), inputs=[text, steps], outputs=[counter]
        )


def connect_restore_progress(toprow, dummy, outputs, js: str) -> None:
    toprow.restore_progress_button.click(
        fn=progress.restore_progress, _js=js, inputs=[dummy], outputs=outputs, show_progress=False
    )


def _create_hires_fix(f: SimpleNamespace) -> None:
    tab, opts = "txt2img", shared.opts
    with InputAccordion(False, label="Hires. fix", elem_id="txt2img_hr") as f.enable_hr:
        with f.enable_hr.extra():
            f.hr_final_resolution = FormHTML(
                value="",
                elem_id="txtimg_hr_finalres",
                label="Upscaled resolution",
                interactive=False,
                min_width=0,
            )
        with FormRow(elem_id="txt2img_hires_fix_row1", variant="compact"):
            upscalers = [*shared.latent_upscale_modes, *(x.name for x in shared.sd_upscalers)]
            f.hr_upscaler = gr.Dropdown(
                label="Upscaler",
                elem_id="txt2img_hr_upscaler",
                choices=upscalers,
                value=shared.latent_upscale_default_mode,
            )
            f.hr_second_pass_steps = slider(tab, "hires_steps", "Hires steps", 0, 150, 1, 0)
            f.denoising_strength = slider(
                tab, "denoising_strength", "Denoising strength", 0.0, 1.0, 0.01, 0.7
            )
        with FormRow(elem_id="txt2img_hires_fix_row2", variant="compact"):
            f.hr_scale = slider(tab, "hr_scale", "Upscale by", 1.0, 4.0, 0.05, 2.0)
            f.hr_resize_x = slider(tab, "hr_resize_x", "Resize width to", 0, 2048, 8, 0)
            f.hr_resize_y = slider(tab, "hr_resize_y", "Resize height to", 0, 2048, 8, 0)
        with FormRow(
            elem_id="txt2img_hires_fix_row3",
            variant="compact",
            visible=opts.hires_fix_show_sampler,
        ):
            same = "Use same checkpoint"
            f.hr_checkpoint_name = gr.Dropdown(
                label="Checkpoint",
                elem_id="hr_checkpoint",
                value=same,
                choices=[same, *sd_models.checkpoint_tiles(use_short=True)],
            )
            same = "Use same sampler"
            f.hr_sampler_name = gr.Dropdown(
                label="Hires sampling method",
                elem_id="hr_sampler",
                value=same,
                choices=[same, *sd_samplers.visible_sampler_names()],
            )
            same = "Use same scheduler"
            f.hr_scheduler = gr.Dropdown(
                label="Hires schedule type",
                elem_id="hr_scheduler",
                value=same,
                choices=[same, *(x.label for x in sd_schedulers.schedulers)],
            )
        with FormRow(
            elem_id="txt2img_hires_fix_row4",
            variant="compact",
            visible=opts.hires_fix_show_prompts,
        ):
            text = {"show_label": False, "lines": 3, "elem_classes": ["prompt"]}
            f.hr_prompt = gr.Textbox(label="Hires prompt", elem_id="hires_prompt", **text)
            f.hr_negative_prompt = gr.Textbox(
                label="Hires negative prompt", elem_id="hires_neg_prompt", **text
            )


def _create_section(category: str, f: SimpleNamespace) -> None:
    runner = scripts.scripts_txt2img
    if category == "dimensions":
        with FormRow():
            with gr.Column(elem_id="txt2img_column_size", scale=4):
                create_sizes("txt2img", f)
            with gr.Column(
                elem_id="txt2img_dimensions_row", scale=1, elem_classes="dimensions-tools"
            ):
                create_switch_button("txt2img")
            if shared.opts.dimensions_and_batch_together:
                with gr.Column(elem_id="txt2img_column_batch"):
                    create_batch("txt2img", f)
    elif category == "cfg":
        with gr.Row():
            f.cfg_scale = slider("txt2img", "cfg_scale", "CFG Scale", 1.0, 30.0, 0.5, 7.0)
    elif category == "accordions":
        with gr.Row(elem_id="txt2img_accordions", elem_classes="accordions"):
            _create_hires_fix(f)
            runner.setup_ui_for_section(category)
    elif category == "batch" and not shared.opts.dimensions_and_batch_together:
        with FormRow(elem_id="txt2img_column_batch"):
            create_batch("txt2img", f)
    elif category == "override_settings":
        f.override_settings = create_override_settings("txt2img")
    elif category == "scripts":
        with FormGroup(elem_id="txt2img_script_container"):
            f.custom_inputs = runner.setup_ui()
    if category != "accordions":
        runner.setup_ui_for_section(category)


def _connect_resolution_preview(f: SimpleNamespace) -> None:
    inputs = [f.enable_hr, f.width, f.height, f.hr_scale, f.hr_resize_x, f.hr_resize_y]
    for component in inputs:
        event = component.release if isinstance(component, gr.Slider) else component.change
        event(
            fn=calc_resolution_hires,
            inputs=inputs,
            outputs=[f.hr_final_resolution],
            show_progress=False,
        )


def _paste_fields(f: SimpleNamespace, toprow) -> list[PasteField]:
    hires = ("Hires upscale", "Hires upscaler", "Hires resize-1")
    return [
        PasteField(toprow.prompt, "Prompt", api="prompt"),
        PasteField(toprow.negative_prompt, "Negative prompt", api="negative_prompt"),
        PasteField(f.cfg_scale, "CFG scale", api="cfg_scale"),
        PasteField(f.width, "Size-1", api="width"),
        PasteField(f.height, "Size-2", api="height"),
        PasteField(f.batch_size, "Batch size", api="batch_size"),
        PasteField(f.denoising_strength, "Denoising strength", api="denoising_strength"),
        PasteField(
            f.enable_hr,
            lambda d: "Denoising strength" in d and any(x in d for x in hires),
            api="enable_hr",
        ),
        PasteField(f.hr_scale, "Hires upscale", api="hr_scale"),
        PasteField(f.hr_upscaler, "Hires upscaler", api="hr_upscaler"),
        PasteField(f.hr_second_pass_steps, "Hires steps", api="hr_second_pass_steps"),
        PasteField(f.hr_resize_x, "Hires resize-1", api="hr_resize_x"),
        PasteField(f.hr_resize_y, "Hires resize-2", api="hr_resize_y"),
        PasteField(f.hr_checkpoint_name, "Hires checkpoint", api="hr_checkpoint_name"),
        PasteField(
            f.hr_sampler_name, sd_samplers.get_hr_sampler_from_infotext, api="hr_sampler_name"
        ),
        PasteField(f.hr_scheduler, sd_samplers.get_hr_scheduler_from_infotext, api="hr_scheduler"),
        PasteField(f.hr_prompt, "Hires prompt", api="hr_prompt"),
        PasteField(f.hr_negative_prompt, "Hires negative prompt", api="hr_negative_prompt"),
        *scripts.scripts_txt2img.infotext_fields,
    ]


def create() -> gr.components.Component:
    """Builds the tab; returns the component whose value is the id of the task."""
    f = SimpleNamespace()
    toprow = ui_toprow.Toprow(is_img2img=False)
    dummy = DummyComponent(visible=False)
    tabs = gr.Tabs(elem_id="txt2img_extra_tabs", elem_classes=["extra-networks"])
    with (
        tabs,
        gr.Tab("Generation", id="txt2img_generation") as generation,
        gr.Row(equal_height=False),
    ):
        with gr.Column(variant="compact", elem_id="txt2img_settings"):
            scripts.scripts_txt2img.prepare_ui()
            for category in ordered_ui_categories():
                _create_section(category, f)
        _connect_resolution_preview(f)
        panel = ui_common.create_output_panel("txt2img", shared.opts.outdir_txt2img_samples, toprow)
    with tabs:
        ui_extra_networks.create_ui(Context.root_block, [generation], "txt2img")
    inputs = [
        dummy,
        toprow.prompt,
        toprow.negative_prompt,
        toprow.ui_styles.dropdown,
        f.batch_count,
        f.batch_size,
        f.cfg_scale,
        f.height,
        f.width,
        f.enable_hr,
        f.denoising_strength,
        f.hr_scale,
        f.hr_upscaler,
        f.hr_second_pass_steps,
        f.hr_resize_x,
        f.hr_resize_y,
        f.hr_checkpoint_name,
        f.hr_sampler_name,
        f.hr_scheduler,
        f.hr_prompt,
        f.hr_negative_prompt,
        f.override_settings,
        *f.custom_inputs,
    ]
    outputs = [panel.gallery, panel.generation_info, panel.infotext, panel.html_log]
    generate = {
        "fn": wrap_gradio_gpu_call(txt2img.txt2img, extra_outputs=[None, "", ""]),
        "_js": "submit",
        "inputs": inputs,
        "outputs": outputs,
        "show_progress": False,
    }
    toprow.prompt.submit(**generate)
    toprow.submit.click(**generate)
    panel.button_upscale.click(
        fn=wrap_gradio_gpu_call(txt2img.txt2img_upscale, extra_outputs=[None, "", ""]),
        _js="submit_txt2img_upscale",
        inputs=[dummy, panel.gallery, dummy, panel.generation_info, *inputs[1:]],
        outputs=outputs,
        show_progress=False,
    )
    connect_restore_progress(toprow, dummy, outputs, "restoreProgressTxt2img")
    infotext_utils.add_paste_fields("txt2img", None, _paste_fields(f, toprow), f.override_settings)
    infotext_utils.register_paste_params_button(
        infotext_utils.ParamBinding(
            paste_button=toprow.paste,
            tabname="txt2img",
            source_text_component=toprow.prompt,
            source_image_component=None,
        )
    )
    connect_token_counters(toprow, scripts.scripts_txt2img.script("Sampler").steps)
    return dummy
