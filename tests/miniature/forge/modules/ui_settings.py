"""The settings in Forge: the checkpoint is chosen in a box of its own, which nothing writes to.

Under Gradio 4 a component that its own change event sets again would change without end.
"""

from __future__ import annotations

import gradio as gr
from modules import sd_models, shared, sysinfo

from tests.miniature.modules import ui_settings as a1111
from tests.miniature.modules.ui_settings import *  # noqa: F403


def choose_checkpoint(name: str) -> None:
    sysinfo.set_config({"sd_model_checkpoint": name})


class UiSettings(a1111.UiSettings):
    def add_quicksettings(self) -> None:
        self.quicksettings = []
        with gr.Row(elem_id="quicksettings", variant="compact"):
            checkpoint = gr.Dropdown(
                value=lambda: shared.opts.sd_model_checkpoint,
                label="Checkpoint",
                choices=sd_models.checkpoint_tiles(),
            )
        checkpoint.change(choose_checkpoint, inputs=[checkpoint], queue=False, show_progress=False)
