"""The prompts, and the buttons beside them."""

from __future__ import annotations

import gradio as gr
from modules import images, shared
from modules.ui_components import ToolButton

paste_symbol = "\u2199\ufe0f"
clear_prompt_symbol = "\U0001f5d1\ufe0f"
restore_progress_symbol = "\U0001f300"


class UiPromptStyles:
    """The drop-down of saved styles."""

    def __init__(self, tabname: str) -> None:
        self.tabname = tabname
        with gr.Row(elem_id=f"{tabname}_styles_row"):
            self.dropdown = gr.Dropdown(
                label="Styles",
                show_label=False,
                elem_id=f"{tabname}_styles",
                choices=list(shared.prompt_styles.styles),
                value=[],
                multiselect=True,
                tooltip="Styles",
            )


class Toprow:
    def __init__(self, is_img2img: bool, is_compact: bool = False, id_part: str | None = None):
        self.id_part = id_part or ("img2img" if is_img2img else "txt2img")
        self.is_img2img = is_img2img
        with gr.Row(elem_id=f"{self.id_part}_toprow", variant="compact"):
            self.create_prompts()
            with gr.Column(scale=1, elem_id=f"{self.id_part}_actions_column"):
                self.create_submit_box()
                self.create_tools_row()
                self.ui_styles = UiPromptStyles(self.id_part)

    def _prompt_box(self, label: str, short: str) -> gr.Textbox:
        with gr.Row(elem_id=f"{self.id_part}_{short}_row", elem_classes=["prompt-row"]):
            return gr.Textbox(
                label=label,
                elem_id=f"{self.id_part}_{short}",
                show_label=False,
                lines=3,
                placeholder=f"{label}\n(Press Ctrl+Enter to generate)",
                elem_classes=["prompt"],
            )

    def create_prompts(self) -> None:
        with gr.Column(elem_id=f"{self.id_part}_prompt_container", scale=6):
            self.prompt = self._prompt_box("Prompt", "prompt")
            self.prompt_img = gr.File(
                label="",
                elem_id=f"{self.id_part}_prompt_image",
                file_count="single",
                type="binary",
                visible=False,
            )
            self.negative_prompt = self._prompt_box("Negative prompt", "neg_prompt")
        self.prompt_img.change(
            fn=images.image_data,
            inputs=[self.prompt_img],
            outputs=[self.prompt, self.prompt_img],
            show_progress=False,
        )

    def create_submit_box(self) -> None:
        part = self.id_part
        with gr.Row(elem_id=f"{part}_generate_box", elem_classes=["generate-box"]):
            self.interrupt = gr.Button(
                "Interrupt",
                elem_id=f"{part}_interrupt",
                elem_classes="generate-box-interrupt",
                tooltip="End generation immediately or after completing current batch",
            )
            self.skip = gr.Button(
                "Skip",
                elem_id=f"{part}_skip",
                elem_classes="generate-box-skip",
                tooltip="Stop generation of current batch and continues onto next batch",
            )
            self.interrupting = gr.Button(
                "Interrupting...",
                elem_id=f"{part}_interrupting",
                elem_classes="generate-box-interrupting",
                tooltip="Interrupting generation...",
            )
            self.submit = gr.Button("Generate", elem_id=f"{part}_generate", variant="primary")

        def interrupt_function():
            state = shared.state
            later = shared.opts.interrupt_after_current and state.job_count > 1
            if later and not state.stopping_generation:
                state.stop_generating()
                gr.Info("Generation will stop after finishing this image.")
            else:
                state.interrupt()

        self.skip.click(fn=lambda: shared.state.skip())
        self.interrupt.click(
            fn=interrupt_function,
            _js=f"function(){{ showSubmitInterruptingPlaceholder('{part}'); }}",
        )
        self.interrupting.click(fn=interrupt_function)

    def create_tools_row(self) -> None:
        part = self.id_part
        with gr.Row(elem_id=f"{part}_tools"):
            self.paste = ToolButton(
                value=paste_symbol,
                elem_id="paste",
                tooltip="Read generation parameters from prompt or last generation if prompt is"
                " empty into user interface.",
            )
            self.clear_prompt_button = ToolButton(
                value=clear_prompt_symbol, elem_id=f"{part}_clear_prompt", tooltip="Clear prompt"
            )
            self.restore_progress_button = ToolButton(
                value=restore_progress_symbol,
                elem_id=f"{part}_restore_progress",
                visible=False,
                tooltip="Restore progress",
            )
            counter = {"elem_classes": ["token-counter"], "visible": False}
            self.token_counter = gr.HTML(
                value="<span>0/75</span>", elem_id=f"{part}_token_counter", **counter
            )
            self.token_button = gr.Button(visible=False, elem_id=f"{part}_token_button")
            self.negative_token_counter = gr.HTML(
                value="<span>0/75</span>", elem_id=f"{part}_negative_token_counter", **counter
            )
            self.negative_token_button = gr.Button(
                visible=False, elem_id=f"{part}_negative_token_button"
            )
        both = [self.prompt, self.negative_prompt]
        self.clear_prompt_button.click(
            fn=lambda *x: x, _js="confirm_clear_prompt", inputs=both, outputs=both
        )
